"""What the report says of ways of spending a budget."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from archscout.comparison import Proof
from archscout.comparison.proof import PROOF
from archscout.report.page import build_page
from archscout.report.proof import plot_proof, summarise
from archscout.runs import Run
from proofs import found, proof

losses = st.lists(st.one_of(st.none(), st.floats(1.0, 9.0)), min_size=2, max_size=2)


def test_it_says_what_the_search_beat_and_what_not() -> None:
    made = proof(
        {"search": (5.0, 5.1), "random": (5.2, 5.3), "random, halved": (4.9, 5.0), "lstm": (5.3, 5)}
    )
    told = summarise(made)
    assert told.verdict == (
        "For 4 full trainings the search finds a test perplexity of 156.0 over 2 seeds: in most of "
        "them better than random, but not better than random, halved and lstm."
    )
    assert "random: 190.6 for 3.9 full trainings; the search was better from 2 of 2 seeds." in (
        told.sentences
    )
    once = summarise(made.model_copy(update={"budget": 1.0})).verdict
    assert once.startswith("For 1 full training the search finds")
    assert told.table.rows[0] == ["search", "156.0", "148.4", "164.0", "3.9", "12", "–"]
    assert told.table.rows[-1] == ["lstm", "172.4", "200.3", "148.4", "1", "1", "1 of 2"]


def test_one_that_was_not_tried_from_every_seed_is_counted_where_it_was() -> None:
    made = proof({"search": (5.0, 5.1, 5.2), "random": (5.2, 5.3, 5.4), "lstm": (5.3, 5.0, 5.0)})
    kept = [each for each in made.found if each.strategy != "lstm" or each.seed == 0]
    told = summarise(made.model_copy(update={"found": kept}))
    assert told.verdict.endswith("in most of them better than random and lstm.")
    assert any("lstm:" in each and "from 1 of 1 seed." in each for each in told.sentences)
    assert told.table.rows[-1][-1] == "1 of 1"


def test_bits_per_byte_stand_beside_perplexities_where_they_are_known() -> None:
    made = [
        found(name, seed, loss, bits_per_byte={"test": bits})
        for name, seed, loss, bits in (("search", 0, 5.0, 1.5), ("search", 1, 5.1, 1.6))
    ]
    told = summarise(proof(found=made))
    assert "of 156.0 over 2 seeds, 1.550 bits per byte: in most" in told.verdict
    place = [column.name for column in told.table.columns].index("bits per byte")
    assert told.table.rows[0][place] == "1.550"
    assert "bits per byte" not in [column.name for column in summarise(proof()).table.columns]


def test_one_that_beats_all_is_told_so_and_near_ones_are_counted() -> None:
    told = summarise(proof({"search": (5.0,), "random": (5.005,)}))
    assert told.verdict.endswith("over 1 seed: better than random.")
    assert "better from 1 of 1 seed (1 of 1 less than 1 % apart)" in told.sentences[0]
    lost = summarise(proof({"search": (5.0,), "random": (4.0,)}))
    assert lost.verdict.endswith("over 1 seed: not better than random.")


def test_nothing_found_has_its_words() -> None:
    told = summarise(proof({"search": (None, None), "random": (None, 5.0)}))
    assert told.verdict == "The search found nothing: all of its trainings failed."
    assert "From some seeds nothing was found: search (2), random (1)." in told.sentences
    assert plot_proof(proof({"search": (None,), "random": (None,)})) == []


def test_losses_that_are_no_perplexities_are_shown_as_they_are() -> None:
    told = summarise(proof(measure="pretraining loss", is_exponential=False))
    assert "a test pretraining loss of 5.050" in told.verdict


@given(losses, losses, losses)
@settings(max_examples=25, deadline=None)
def test_whatever_was_found_there_are_words_and_a_row_for_each(
    ours: list[float | None], random: list[float | None], lstm: list[float | None]
) -> None:
    made = proof({"search": ours, "random": random, "lstm": lstm})
    told = summarise(made)
    assert len(told.table.rows) == 3 and told.verdict
    assert all(len(row) == len(told.table.columns) for row in told.table.rows)
    drawn = any(loss is not None for loss in (*ours, *random, *lstm))
    assert len(plot_proof(made)) == drawn


def test_the_figure_has_a_line_for_each_seed_and_one_name_in_the_legend() -> None:
    made = proof()
    steps = [(1.0, 5.6), (2.0, 5.2), (3.0, 5.2)]
    longer = found("random", 0, 5.2, steps=steps)
    made = made.model_copy(
        update={"found": [longer if f == made.found[2] else f for f in made.found]}
    )
    (figure,) = plot_proof(made)
    lines = [trace for trace in figure.figure.data if trace.name == "random"]
    assert [len(line.x) for line in lines] == [3, 1]
    assert [line.showlegend for line in lines] == [True, False]
    assert "2 seeds" in figure.label


def test_ways_that_were_not_taken_change_no_others_marks() -> None:
    whole = proof({"search": (5.0,), "random": (5.2,), "best by score": (5.1,), "lstm": (5.3,)})
    kept = [each for each in whole.found if each.strategy != "random"]
    bare = whole.model_copy(update={"found": kept, "drawn": [0]})

    def marks(made: Proof) -> dict[str, Any]:
        (figure,) = plot_proof(made)
        return {trace["name"]: trace["marker"] for trace in figure.figure.to_dict()["data"]}

    assert marks(bare) == {n: m for n, m in marks(whole).items() if n != "random"}
    assert marks(bare)["lstm"]["symbol"] == "star"
    assert "No random proposal was within the limits" in " ".join(summarise(bare).sentences)


def test_the_page_has_it(ordinary: Run, tmp_path: Path) -> None:
    shutil.copytree(ordinary.folder.path, tmp_path / "run")
    run = Run(tmp_path / "run")
    assert '<section id="proof">' not in build_page(run)
    document = {"format": 1, **proof().model_dump()}
    (tmp_path / "run" / PROOF).write_text(json.dumps(document))
    page = build_page(run)
    assert '<section id="proof">' in page and "Did it pay?" in page
    assert "in most of them better than" in page
