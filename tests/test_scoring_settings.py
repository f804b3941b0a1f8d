"""Settings of scoring as a value: what stores them, what opens, and the scorer that they make."""

import pytest

from archscout.analysis.evaluation_folder import EvaluationSettings
from archscout.errors import InputError
from archscout.metric_search.discovery_folder import DiscoverySettings
from archscout.predictors.information import Scoring
from archscout.runs.search_settings import SearchSettings
from archscout.scoring import Draw, Scorer, ScoringSettings
from archscout.spaces import RecurrentScale, RecurrentSpace

SCALE = vars(RecurrentScale(4, 6, 8, 8, 1, "canonical"))
EARLIER = {
    "space": "rnn",
    "text": ("python-docs",),
    "text_sha256": "0" * 64,
    "scale": SCALE,
    "objective": "sum",
    "split": None,
    "vocabulary_limit": 50,
    "tokenizer": None,
}
SETTINGS = ScoringSettings(
    space="rnn",
    text=("python-docs",),
    metrics=("parameters", "l2_norm"),
    scale=SCALE,
    seeds=(3, 4),
    minibatches=(1,),
    vocabulary_size=50,
)


def test_settings_make_the_scorer_that_the_arguments_make() -> None:
    cell = RecurrentSpace().named["lstm"]
    scale = RecurrentScale(**SCALE)
    by_hand = Scorer(
        "rnn", "python-docs", ["parameters", "l2_norm"], scale, 3, None, 50, minibatch_index=1
    )
    made = Scorer.of(SETTINGS)
    assert made.minibatch.equal(by_hand.minibatch)
    assert made.score(cell).scores == by_hand.score(cell).scores
    fewer = Scorer.of(SETTINGS, by_hand.corpus, ["parameters"])
    assert list(fewer.score(cell).scores) == ["parameters"]


def test_draws_are_every_initialisation_with_every_minibatch() -> None:
    assert SETTINGS.draws == [Draw(3, 1), Draw(4, 1)]
    assert SETTINGS.built_at == RecurrentScale(**SCALE)


def test_settings_that_earlier_versions_stored_open() -> None:
    benchmark = {"benchmark": "b", "dataset": "d"}
    draws = {"seeds": (2,), "minibatches": (0,)}
    evaluation = EvaluationSettings.model_validate(
        EARLIER | benchmark | draws | {"metrics": ("parameters",)}
    )
    assert evaluation.vocabulary_size == 50 and evaluation.draws == [Draw(2, 0)]
    discovery = DiscoverySettings.model_validate(
        EARLIER | benchmark | {"references": ("parameters",), "population": 7, "seed": 5}
    )
    assert (discovery.population_size, discovery.vocabulary_size) == (7, 50)
    assert discovery.draws == [Draw(5, 0)]
    assert Scoring.model_validate(EARLIER | draws).vocabulary_size == 50
    assert "vocabulary_size" in evaluation.model_dump()


def test_a_search_says_how_it_scores() -> None:
    found = SearchSettings.model_validate(
        EARLIER
        | {
            "text": ["python-docs"],
            "objectives": ["hidden_covariance:max", "latency:min"],
            "limits": {},
            "trials": 5,
            "seed": 6,
            "sampler": "nsga2",
            "population_size": 50,
            "model_scale": SCALE,
            "minibatch_index": 2,
            "device": "cpu",
        }
    )
    assert found.scoring.metrics == ("hidden_covariance",)
    assert found.scoring.draws == [Draw(6, 2)]
    assert (found.scoring.vocabulary_size, found.metric_files) == (50, [])


def test_a_file_of_metrics_that_is_gone_is_named() -> None:
    with pytest.raises(InputError, match=r"no file .*gone\.py"):
        Scorer.of(SETTINGS.model_copy(update={"metric_files": ("gone.py",)}))
