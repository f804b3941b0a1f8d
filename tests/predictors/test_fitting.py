"""Fitting: what is learned, what cannot be, and what does not matter."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from archscout.analysis.evaluation import evaluate
from archscout.errors import InputError
from archscout.predictors import estimators, fit, forward_metrics, judge, judge_by_folds
from archscout.predictors.estimators import cross_validate
from archscout.predictors.examples import examples
from archscout.predictors.judging import RANKER


def tau(judgement):
    row = judgement.comparison.table.loc[RANKER]
    return row["kendall_low"], row["kendall"], row["kendall_high"]


def test_a_planted_signal_is_learned(noisy):
    ranker = fit(noisy(40))
    found = ranker.information.cross_validation
    assert 0.5 < found.low < found.kendall < found.high
    judged = judge(ranker, noisy(40, seed=1, first=40))
    assert tau(judged)[0] > 0.5
    assert judged.labels == (40, 40)
    assert judged.shared == 0
    assert judged.difference.low > 0  # neither metric alone is enough
    assert set(judged.baselines) <= {
        *("hidden_covariance[1]", "hidden_covariance[2]", "activation_distance")
    }


def test_noise_is_not_learned(planted, monkeypatch):
    cheap = {name: estimators.CANDIDATES[name] for name in ("ridge", "kernel_ridge")}
    monkeypatch.setattr(estimators, "CANDIDATES", cheap)
    covered, taus = 0, []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        scores = {name: rng.normal(size=50) for name in ("activation_distance", "l2_norm")}
        done = planted(scores, rng.normal(size=50))
        low, middle, high = tau(judge_by_folds(done, done, folds=3, resamples=300))
        covered += low < 0 < high
        taus.append(middle)
    assert covered >= 5
    assert abs(np.mean(taus)) < 0.15


@pytest.fixture
def memory(monkeypatch):
    """An estimator that learns every label by heart."""
    candidates = {"memory": lambda seed: DecisionTreeRegressor(random_state=seed)}
    monkeypatch.setattr(estimators, "CANDIDATES", candidates)


def test_shared_architectures_teach_nothing_of_themselves(planted, memory):
    rng = np.random.default_rng(0)
    identity, losses = rng.normal(size=(2, 60))
    scores = {"activation_distance": identity}
    training = planted(scores, losses, dataset="a")
    judged = planted(scores, 2 * losses, dataset="b")
    learned = fit(training).predict(judged)
    assert np.corrcoef(learned, losses)[0, 1] < -0.9  # so a leak would show
    found = judge_by_folds(training, judged, folds=6)
    low, _, high = tau(found)
    assert low < 0 < high
    assert (found.shared, found.folds, found.labels) == (60, 6, (50, 50))


def test_a_finished_ranker_is_judged_on_what_it_has_not_seen(noisy):
    ranker = fit(noisy(40, dataset="a"))
    half = noisy(40, first=20, dataset="b")
    found = judge(ranker, half)
    assert found.shared == 20
    assert list(found.predictions.index) == [f"b-{i}" for i in range(40, 60)]
    with pytest.raises(InputError, match=r"all 40 trained .* were learned from; at least 3 others"):
        judge(ranker, noisy(40, dataset="b"))


def test_left_out_architectures_are_not_learned_from(noisy):
    done = noisy(40)
    marks = [done.benchmark.space.fingerprint(a) for a in done.benchmark.architectures.values()]
    ranker = fit(done, leave_out=marks[:10])
    assert ranker.information.labels == 30
    assert sorted(ranker.information.fingerprints) == sorted(marks[10:])
    changed = done.benchmark.results.copy()
    done.benchmark.results.iloc[:10] = 100.0
    assert fit(done, leave_out=marks[:10]).information == ranker.information
    done.benchmark.results.loc[:] = changed


def test_without_shared_architectures_one_ranker_predicts_all(noisy):
    found = judge_by_folds(noisy(40), noisy(40, seed=1, first=40))
    assert (found.folds, found.shared, found.labels) == (1, 0, (40, 40))
    direct = judge(fit(noisy(40)), noisy(40, seed=1, first=40))
    assert found.predictions.equals(direct.predictions)


OTHERS = {"SDP": "WMA", "WMA": "SDP", "DFT": "DCT", "DCT": "DFT", 5: 9, 9: 5}


def with_other_operations(done):
    """The same scores and results of encoders whose first layer mixes in another way."""
    space, changed = done.benchmark.space, {}
    for name, encoder in done.benchmark.architectures.items():
        document = space.to_dict(encoder)
        first = document["nas_config"]["encoder_layers"][0]
        first["operation_parameter"] = OTHERS[first["operation_parameter"]]
        changed[name] = space.parse(document)
    return replace(done, benchmark=replace(done.benchmark, architectures=changed))


def test_encoders_that_are_scored_as_one_network_are_not_unseen(noisy):
    as_trained = noisy(30, space="flexibert", scale={"reading": "trained"})
    others = with_other_operations(as_trained)
    found = judge_by_folds(as_trained, others, folds=6)
    assert found.folds == 6 and found.shared == fit(as_trained).information.architectures < 30
    with pytest.raises(InputError, match="all 30 trained architectures of planted"):
        judge(fit(as_trained), others)
    as_declared = noisy(30, space="flexibert", scale={"reading": "declared"})
    assert judge(fit(as_declared), with_other_operations(as_declared)).shared == 0


def test_repeated_trainings_of_an_architecture_count_once(noisy):
    twice = [noisy(40, dataset="a"), noisy(40, dataset="b")]
    information = fit(twice).information
    assert (information.labels, information.architectures) == (80, 40)
    found = examples(twice, list(information.features.finite))
    assert set(cross_validate(found, seed=0, resamples=1).table["n"]) == {40}


def test_metrics_are_chosen_as_they_are_judged(planted):
    rng = np.random.default_rng(0)
    losses = rng.normal(size=40)
    first = -losses + 0.1 * rng.normal(size=40)
    scores = {"l2_norm": np.stack([first, 1e6 * rng.normal(size=40)], axis=1)}
    done = planted(scores, losses)
    found = judge_by_folds(done, done, folds=3)
    assert found.baselines["l2_norm"] == found.comparison.table.loc["l2_norm", "kendall"] > 0.2


def test_numbers_of_the_bootstrap_that_are_not_possible(noisy):
    done, other = noisy(40), noisy(40, seed=1, first=40)
    ranker = fit(done)
    for wrong, message in (({"seed": -1}, "seed is -1"), ({"resamples": 0}, "resamples is 0")):
        for use in (
            lambda wrong=wrong: fit(done, **wrong),
            lambda wrong=wrong: judge(ranker, other, **wrong),
            lambda wrong=wrong: judge_by_folds(done, other, **wrong),
        ):
            with pytest.raises(InputError, match=message):
                use()


def test_a_seed_decides_everything(noisy):
    first, again, other = (fit(noisy(40), seed=seed) for seed in (3, 3, 4))
    judged = noisy(40, seed=1, first=40)
    assert first.information == again.information
    assert first.predict(judged).equals(again.predict(judged))
    assert other.information.cross_validation != first.information.cross_validation


def test_scores_that_are_not_finite_are_features(planted):
    rng = np.random.default_rng(0)
    size = 50
    layers = rng.integers(1, 3, size=size)
    exploded = rng.random(size) < 0.3
    losses = 3 * exploded + layers + 0.1 * rng.normal(size=size)
    scores = {
        "hidden_covariance[1]": np.where(exploded, np.inf, rng.normal(size=size)),
        "hidden_covariance[2]": np.where(layers == 2, rng.normal(size=size), np.nan),
        "l2_norm": np.full(size, 7.0),
    }
    ranker = fit(planted(scores, losses))
    assert ranker.information.features.infinite == ("hidden_covariance[1]",)
    assert ranker.information.features.missing == ("hidden_covariance[2]",)
    assert ranker.information.cross_validation.low > 0.5
    assert "l2_norm" not in ranker.information.metric_kendall  # it is the same for all
    shallow = {"hidden_covariance[1]": rng.normal(size=20), "l2_norm": np.full(20, np.inf)}
    assert np.isfinite(ranker.predict(planted(shallow, np.zeros(20), first=50))).all()


def test_features_do_not_depend_on_what_else_is_scored(planted):
    rng = np.random.default_rng(0)
    first, last, losses = rng.normal(size=(3, 40))
    deep = np.arange(40) % 2 == 0
    scores = {
        "linear_memory": np.where(deep, last, first),
        "linear_memory[1]": first,
        "linear_memory[2]": np.where(deep, last, np.nan),
    }
    ranker = fit(planted(scores, losses))
    among = ranker.predict(planted(scores, losses))
    alone = planted({name: values[deep] for name, values in scores.items()}, losses[deep])
    directions = {name: True for name in scores if name != "linear_memory[2]"}  # as `evaluate` does
    predicted = ranker.predict(replace(alone, larger_is_better=directions))
    assert list(predicted) == list(among[deep])


def test_benchmarks_of_different_targets_teach_together(noisy):
    losses = noisy(30, dataset="a")
    accuracies = noisy(30, seed=1, first=30, dataset="b", larger_is_better=True)
    accuracies.benchmark.results.loc[:] = 1000 - 10 * accuracies.benchmark.results
    ranker = fit([losses, accuracies])
    assert [origin.labels for origin in ranker.information.origins] == [30, 30]
    assert ranker.information.labels == 60
    assert ranker.information.cross_validation.low > 0.5


def test_several_draws_are_several_examples_of_one_label(planted):
    rng = np.random.default_rng(0)
    quality = rng.normal(size=40)
    scores = {"activation_distance": quality[:, None] + rng.normal(size=(40, 4))}
    ranker = fit(planted(scores, -quality))
    assert ranker.information.labels == 40
    assert ranker.information.scoring.seeds == (0, 1, 2, 3)
    single = {"activation_distance": scores["activation_distance"][:, 0]}
    alone = fit(planted(single, -quality)).information.cross_validation
    assert ranker.information.cross_validation.kendall > alone.kendall


def test_failed_trainings_are_no_labels(noisy):
    done = noisy(40)
    done.benchmark.results.iloc[:5] = np.nan
    assert fit(done).information.labels == 35


def test_features_are_named_or_without_gradients(planted):
    rng = np.random.default_rng(0)
    names = ("synaptic_saliency", "hidden_covariance[1]", "hidden_covariance[2]", "l2_norm")
    scores = {name: rng.normal(size=30) for name in names}
    done = planted(scores, rng.normal(size=30))
    assert list(fit(done).information.features.finite) == list(names[1:])
    named = fit(done, metrics="synaptic_saliency,hidden_covariance[2]").information
    assert list(named.features.finite) == ["synaptic_saliency", "hidden_covariance[2]"]
    assert {"hidden_covariance", "parameters", "l2_norm"} <= set(forward_metrics("other"))
    assert not {"synaptic_saliency", "jacobian_cosine"} & set(forward_metrics("other"))
    assert "softmax_confidence" in forward_metrics("transformer")


def test_what_cannot_be_learned_from(planted, noisy):
    rng = np.random.default_rng(0)
    scores = {"l2_norm": rng.normal(size=30)}
    for evaluations, message in (
        (noisy(19), "19 different architectures have a result to learn from; at least 20"),
        (planted(scores, np.ones(30)), "every architecture has the same result"),
        (planted({"l2_norm": np.ones(30)}, rng.normal(size=30)), "the same scores .l2_norm."),
        ([], "no evaluation to learn from"),
        (
            [noisy(30), noisy(30, first=30, text_sha256="1" * 64)],
            "scores of text_sha256 '1111.*only scores made alike are accepted",
        ),
        ([noisy(30), noisy(30, first=30, seeds=(1,))], "scores of seeds"),
    ):
        with pytest.raises(InputError, match=message):
            fit(evaluations)
    with pytest.raises(InputError, match="metric 'meco' is not among the scores"):
        fit(noisy(30), metrics=["meco"])
    with pytest.raises(InputError, match="no metric is a feature"):
        fit(planted({"synaptic_saliency": rng.normal(size=30)}, rng.normal(size=30)))
    with pytest.raises(InputError, match="seed is -1"):
        fit(noisy(30), seed=-1)


def test_folds_that_are_not_possible(noisy):
    for folds in (1, 41):
        with pytest.raises(InputError, match=f"folds is {folds}; from 2 to 40 are accepted"):
            judge_by_folds(noisy(40), noisy(40), folds=folds)
        with pytest.raises(InputError, match=f"folds is {folds}"):  # though nothing is shared
            judge_by_folds(noisy(40), noisy(40, seed=1, first=40), folds=folds)


def test_progress_counts_every_fit(noisy):
    seen = []
    judge_by_folds(noisy(40), noisy(40), folds=2, progress=lambda *at: seen.append(at))
    assert seen[-1][0] == seen[-1][1] == len(seen)
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))


@pytest.mark.slow
def test_a_benchmark_that_is_always_there(tmp_path):
    done = evaluate(
        "archscout-mini-rnn",
        out=tmp_path,
        text="python-docs",
        metrics=["hidden_covariance", "activation_distance"],
    )
    found = judge_by_folds(done, done)
    assert tau(found)[0] > 0.3
    assert found.labels == (88, 88)
