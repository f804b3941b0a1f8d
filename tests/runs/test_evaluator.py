"""What becomes of an architecture, from what was measured of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archscout import Scorer
from archscout.execution import Cluster, Workers
from archscout.runs.evaluator import Evaluations, Evaluator
from archscout.runs.places import scoring_place
from archscout.runs.search_settings import parse_objectives
from archscout.spaces.recurrent.cells import CELLS


@pytest.mark.parametrize(
    ("objectives", "limits"), [("parameters:max", {"latency": 5.0}), ("latency", {})]
)
def test_a_network_whose_latency_is_unknown_is_in_no_ranking(
    objectives: str, limits: dict[str, float], words: Path, tiny: Any
) -> None:
    scorer = Scorer("rnn", words, ["hidden_covariance[1]"], tiny)
    evaluator = Evaluator(scorer, tiny, parse_objectives(objectives, "recurrent"), limits)
    assert evaluator.judge(CELLS["gru"], "gru", evaluator.evaluate(CELLS["gru"])).values
    lost = evaluator.lost(CELLS["gru"], "its worker died 2 times")
    assert list(lost.costs) == ["parameters"]
    assert evaluator.score((CELLS["gru"], lost)) == lost
    judged = evaluator.judge(CELLS["gru"], "gru", lost)
    assert (judged.values, judged.violations) == (None, {})
    assert judged.result["problem"] == "its worker died 2 times"


def test_latency_is_measured_here_where_no_node_is_kept_for_it(
    words: Path, tiny: Any, hunt: Any, tmp_path: Path
) -> None:
    settings = hunt(tmp_path / "run", trials=1).settings
    scorer = Scorer("rnn", words, ["hidden_covariance[1]"], tiny)
    places = []
    for limits in ({}, {"latency": 5.0}):
        evaluator = Evaluator(scorer, tiny, [], limits)
        places.append([scoring_place(settings, evaluator, w) for w in (3, Cluster("auto", 3))])
    assert places == [[3, Cluster("auto", 3)], [1, 1]]
    kept = settings.model_copy(update={"latency_on": "laptop"})
    place = scoring_place(kept, evaluator, Cluster("auto", 3))
    assert place == Cluster("auto", 3, not_on="laptop")


def test_a_proposal_is_drawn_once_there_is_room_for_it_and_equal_ones_are_scored_once(
    words: Path, tiny: Any
) -> None:
    scorer = Scorer("rnn", words, ["hidden_covariance[1]"], tiny)
    evaluator = Evaluator(scorer, tiny, parse_objectives("hidden_covariance[1]", "recurrent"), {})
    names = ["lstm", "lstm", "gru", "lstm", "rnn", "gru"]
    drawn: list[str] = []

    def proposals() -> Iterator[Any]:
        for name in names:
            drawn.append(name)
            yield CELLS[name]

    with Workers(evaluator) as workers:
        evaluations = Evaluations(workers, None, evaluator, [], []).of(proposals())
        first = next(evaluations)
        assert drawn == ["lstm"]
        found = [first, *evaluations]
    by_name = {name: found[names.index(name)] for name in names}
    assert len({each.result["fingerprint"] for each in by_name.values()}) == 3
    assert [each is by_name[name] for each, name in zip(found, names, strict=True)] == [True] * 6
