"""Small runs that the tests of the report share."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

import archscout
from archscout.runs import Run, search
from archscout.spaces import FlexibertSpace, RecurrentSpace

SMALL = RecurrentSpace.scales["fast"].resized(
    embedding_size=8, hidden_size=8, batch_size=4, sequence_length=6
)
SMALL_ENCODER = FlexibertSpace.scales["fast"].resized(batch_size=2, sequence_length=8)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text of some hundred tokens."""
    path = tmp_path_factory.mktemp("text") / "counting.txt"
    lines = (f"line {i} holds {i % 7} of {i % 5} and {i % 3}" for i in range(120))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def find(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Callable[..., Path]:
    """A function that runs a small search and returns its folder."""

    def run(**options: object) -> Path:
        folder = tmp_path_factory.mktemp("runs") / "run"
        usual = {"space": "rnn", "metrics": "hidden_covariance", "trials": 8, "scale": SMALL}
        settings = usual | options
        search(text=corpus, out=folder, **settings)  # type: ignore[arg-type]
        return folder

    return run


@pytest.fixture(scope="session")
def never_finite() -> str:
    """A metric that no architecture has a finite value of."""

    @archscout.metric(needs={"hidden_states"}, larger_is_better=True, kind="other")
    def never_finite(trace: object) -> float:
        """Nothing."""
        return math.nan

    return "never_finite"


@pytest.fixture(scope="session")
def always_one() -> str:
    """A metric in which all architectures are equal."""

    @archscout.metric(needs={"hidden_states"}, larger_is_better=False, kind="other")
    def always_one(trace: object) -> float:
        """One."""
        return 1.0

    return "always_one"


@pytest.fixture(scope="session")
def plain_folder(find: Callable[..., Path]) -> Path:
    """One objective, more architectures than the ranking shows."""
    return find(trials=30)


@pytest.fixture(scope="session")
def ordinary(plain_folder: Path) -> Run:
    """The same run, for tests that leave it as it is."""
    return Run(plain_folder)


@pytest.fixture
def plain(plain_folder: Path) -> Run:
    """A run with one objective, opened anew."""
    return Run(plain_folder)


@pytest.fixture(scope="session")
def limited(find: Callable[..., Path]) -> Run:
    """A run with architectures outside its limit."""
    sampled = Run(find()).table["parameters"]
    return Run(find(max_parameters=float(sampled.median())))


@pytest.fixture(scope="session")
def several(find: Callable[..., Path]) -> Run:
    """A run with two metrics and a cost as objectives."""
    return Run(find(metrics="hidden_covariance,activation_distance,memory"))


@pytest.fixture(scope="session")
def single(find: Callable[..., Path]) -> Run:
    """A run of one proposal."""
    return Run(find(trials=1))


@pytest.fixture(scope="session")
def encoders(find: Callable[..., Path]) -> Run:
    """A run over encoders that are scored in one reading and built in another."""
    built = SMALL_ENCODER.resized(reading="trained")
    goals = "parameters,latency"
    return Run(
        find(space="flexibert", trials=3, metrics=goals, scale=SMALL_ENCODER, model_scale=built)
    )


@pytest.fixture(scope="session")
def hopeless(find: Callable[..., Path], never_finite: str) -> Run:
    """A run in which nothing has a finite score."""
    return Run(find(metrics=never_finite))


@pytest.fixture(scope="session")
def equal(find: Callable[..., Path], always_one: str) -> Run:
    """A run in which all scores are equal."""
    return Run(find(metrics=always_one))
