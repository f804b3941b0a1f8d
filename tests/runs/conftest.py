"""A text, a size and a search that take no time."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from archscout.runs import Run, search
from archscout.runs.study import result_of
from archscout.scoring import Scorer
from archscout.spaces import RecurrentScale, RecurrentSpace

TINY = RecurrentSpace.scales["fast"].resized(
    embedding_size=8, hidden_size=8, batch_size=4, sequence_length=6
)
Hunt = Callable[..., Run]


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(0)
    path = tmp_path_factory.mktemp("text") / "words.txt"
    lines = (" ".join(f"w{rng.randrange(40)}" for _ in range(10)) for _ in range(60))
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="session")
def tiny() -> RecurrentScale:
    return TINY


@pytest.fixture(scope="session")
def hunt(words: Path) -> Hunt:
    """A search of 14 proposals, in which NSGA-II has several generations."""
    usual: dict[str, Any] = {
        "text": words,
        "metrics": "hidden_covariance[1]",
        "trials": 14,
        "population_size": 4,
        "scale": TINY,
    }

    def start(out: Path, **changes: Any) -> Run:
        return search("rnn", out=out, **(usual | changes))

    return start


@pytest.fixture(scope="session")
def proposals() -> Callable[[Run], list[Any]]:
    """All that a run's study knows of its trials, but for the clock."""

    def known(run: Run) -> list[Any]:
        found = []
        for trial in run.trials:
            result = {k: v for k, v in result_of(trial).items() if k != "seconds"}
            attributes = dict(trial.system_attrs)
            found.append(
                (trial.number, trial.state, trial.values, trial.params, result, attributes)
            )
        return found

    return known


@pytest.fixture(scope="session")
def assert_same(proposals: Callable[[Run], list[Any]]) -> Callable[[Run, Run], None]:
    """Two runs found the same, in the same order, and wrote the same."""

    def check(one: Run, other: Run) -> None:
        assert proposals(one) == proposals(other)
        first, second = (
            pd.read_parquet(run.folder.path / "scores.parquet").drop(columns="seconds")
            for run in (one, other)
        )
        pd.testing.assert_frame_equal(first, second)
        for name in ("best.json", "vocabulary.json"):
            assert (one.folder.path / name).read_bytes() == (other.folder.path / name).read_bytes()

    return check


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The fingerprint of everything that is scored from now on."""
    seen = []
    original = Scorer.score

    def score(self: Scorer, architecture: Any) -> Any:
        seen.append(self.space.fingerprint(architecture))
        return original(self, architecture)

    monkeypatch.setattr(Scorer, "score", score)
    return seen
