"""What the report says of candidates that were trained."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archscout.comparison import Proof, to_document
from archscout.comparison.proof import TRAINED
from archscout.errors import InputError
from archscout.report.page import build_page
from archscout.report.proof import plot_proof, summarise
from archscout.runs import Run
from proofs import perplexity, proof, trainee

losses = st.lists(st.one_of(st.none(), st.floats(1.0, 9.0)), min_size=1, max_size=4)


def told(made: Proof, proposals: int | None = None) -> str:
    found = summarise(made, proposals)
    return " ".join([found.verdict, *found.sentences])


def test_a_search_that_paid_is_told_so() -> None:
    verdict = summarise(proof(top=[5.0, 5.2], random=[5.1, 5.6])).verdict
    assert verdict == (
        "The search paid here: the best of the 2 top candidates reaches a test perplexity of "
        "148.4, 9.5 % below the 164.0 that the best of 2 random ones reaches."
    )


def test_a_search_that_did_not_pay_is_told_so_plainly() -> None:
    verdict = summarise(proof(top=[5.0, 5.2], random=[4.9, 5.6])).verdict
    assert verdict == (
        "The search did not pay here: the best of 2 random ones reaches a test perplexity of "
        "134.3, 9.5 % below the 148.4 that the best of the 2 top candidates reaches."
    )
    assert "no better" in told(proof(top=[5.0, 5.2], random=[4.0, 4.1]))


@pytest.mark.parametrize(
    ("top", "random", "words"),
    [
        ([None, None], [None, None], "All trainings failed"),
        ([5.0, 6.0], [None, None], "paid here: the best of the 2 top candidates reaches"),
        ([None, None], [5.0, 6.0], "did not pay here: the best of 2 random ones reaches"),
        ([5.0, 6.0], [5.0, 7.0], "made no difference here"),
    ],
)
def test_failures_and_ties_have_their_words(top: list[Any], random: list[Any], words: str) -> None:
    assert words in summarise(proof(top=top, random=random)).verdict


def test_where_all_failed_nothing_else_is_told_of_them() -> None:
    found = summarise(proof(top=[None, None], random=[None, None]))
    assert found.sentences == [
        "The random ones were drawn from 40 other architectures that nsga2 proposed before it had "
        "seen a score."
    ]


def test_how_few_they_are_is_said() -> None:
    words = told(proof())
    assert "over these n = 4 networks: hidden_covariance 0.67 (p = 0.33), parameters" in words
    assert "only a large difference is more than chance" in words
    assert "not the correlation in the space as a whole" in words


def test_where_the_random_ones_come_from_is_said() -> None:
    assert "drawn from 40 other architectures that nsga2 proposed before it" in told(proof())
    assert "all proposed at random" in told(proof(sampler="random"))
    assert "later proposals" not in told(proof())
    assert "1 of the random ones comes from later proposals of nsga2" in told(proof(late=1))
    assert "All random ones come from later proposals" in told(proof(late=2, pool=0))
    few = proof(top=[5.0, 5.1], random=[5.2])
    assert "There were no more than 1 to draw, 2 were asked for." in told(few)


def test_the_time_saved_is_told() -> None:
    words = told(proof())
    assert "A training took 10 s on average" in words
    assert "all 50 architectures would take 8 min 20 s" in words
    assert "took 24 s, 4.8 % of it" in words and "44 s" in words


def test_failures_are_counted_in_words_and_shown_in_the_table() -> None:
    made = proof(top=[5.0, None])
    assert "1 training failed; the means count a failure as the worst" in told(made)
    rows = summarise(made).table.rows
    assert rows[1][-1] == "failed: the loss is no number" and rows[1][4] == "none"
    assert rows[0][-1] == "◆ winner"


def test_a_run_that_has_gone_on_is_said_to() -> None:
    assert "after 60 proposals. By now there are 90" in told(proof(), 90)
    assert "By now" not in told(proof(), 60)


def test_the_table_has_each_network_once() -> None:
    made = proof()
    table = summarise(made).table
    assert [row[0] for row in table.rows] == ["1", "2", "11", "12"]
    assert [row[1] for row in table.rows] == ["top", "top", "random", "random"]
    assert [column.name for column in table.columns][4:6] == ["valid", "test"]
    for row, one in zip(table.rows, made.trainees, strict=True):
        for cell, part in zip(row[4:6], ("valid", "test"), strict=True):
            assert float(cell) == pytest.approx(perplexity(one.losses[part]), rel=1e-3)


@given(losses, losses)
@settings(deadline=None, max_examples=30)
def test_every_network_that_did_not_fail_is_drawn_once(
    top: list[float | None], random: list[float | None]
) -> None:
    made = proof(top=top, random=random)
    finished = [t.fingerprint for t in made.trainees if t.problem is None]
    plots = plot_proof(made)
    assert len(plots) == bool(finished)
    for plot in plots:
        points = [trace for trace in plot.figure.data if trace.hovertext is not None]
        beside = [text for trace in points for text in trace.hovertext]
        marks = [re.findall("<b>(.*?)</b>", text)[0] for text in beside]
        assert sorted(marks) == sorted(finished)
        assert len({trace.marker.color for trace in points}) == 2
        assert ("Left out" in plot.caption) == (len(finished) < len(made.trainees))
    assert not re.search(r"\b(None|nan|inf)\b", told(made))


def test_the_winner_is_ringed() -> None:
    (plot,) = plot_proof(proof())
    (ring,) = [trace for trace in plot.figure.data if trace.name == "winner"]
    assert list(ring.y) == [pytest.approx(perplexity(5.0))]


def test_several_objectives_have_a_plot_each() -> None:
    scores = {"hidden_covariance": -5.0, "parameters": 7.0}
    made = proof(directions={"hidden_covariance": 1, "parameters": -1}).model_copy(
        update={
            "top": [trainee(1, 5.0, scores=scores)],
            "random": [trainee(2, 5.5, scores=scores)],
        }
    )
    titles = [plot.figure.layout.xaxis.title.text for plot in plot_proof(made)]
    assert titles == ["hidden_covariance", "parameters"]
    assert "parameters" in [column.name for column in summarise(made).table.columns]


# On the page


@pytest.fixture
def proven(plain_folder: Path, tmp_path: Path) -> Run:
    """A run with a made-up proof."""
    shutil.copytree(plain_folder, tmp_path / "run")
    document = to_document(proof(top=[5.0, None], random=[4.9, 5.6], proposals=30))
    (tmp_path / "run" / TRAINED).write_text(json.dumps(document))
    return Run(tmp_path / "run")


def test_the_page_has_a_section_where_candidates_were_trained(proven: Run, plain: Run) -> None:
    text = build_page(proven)
    assert '<section id="proof">' in text and '<a href="#proof">' in text
    assert "The search did not pay here" in text
    assert 'id="proof-0" role="img"' in text and '"proof-0": {"data"' in text
    assert "failed: the loss is no number" in text
    without = build_page(plain)
    assert 'id="proof"' not in without and "#proof" not in without


def test_what_trainings_say_is_escaped(proven: Run) -> None:
    path = proven.folder.path / TRAINED
    document = json.loads(path.read_text())
    document["top"][1]["problem"] = "</script><img src=x>"
    path.write_text(json.dumps(document))
    assert "<img" not in re.sub(r"<script>/\*\*.*?</script>", "", build_page(proven), flags=re.S)


def test_a_damaged_file_is_one_message(proven: Run) -> None:
    (proven.folder.path / TRAINED).write_text("{}")
    with pytest.raises(InputError, match=r"trained\.json is damaged"):
        build_page(proven)
