"""Scoring: architectures and a text in, scores out."""

import itertools
import json
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

import archscout
from archscout import InputError, Score, Scorer, metric, score
from archscout.metrics import available
from archscout.scoring import measuring, parse_requests
from archscout.spaces import Recipe, RecurrentScale, RecurrentSpace, Scale
from archscout.spaces.recurrent import RecurrentRecorder
from archscout.text import Corpus
from archscout.tracing import Trace, trace

SPACE = RecurrentSpace()
LSTM, GRU = SPACE.named["lstm"], SPACE.named["gru"]
TINY = RecurrentScale(4, 12, 8, 10, 2, "canonical")
OWN = tuple(n for n, m in available().items() if m.source)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    rng = random.Random(0)
    words = tuple(f"w{min(rng.randrange(60), rng.randrange(60))}" for _ in range(6000))
    return Corpus("words", {"all": words}, "0" * 64, ("words",))


def cell(**nodes: tuple[str, ...]) -> Recipe:
    """A recipe from name=(op, inputs...)."""
    return Recipe.from_json({n: {"op": op, "input": list(i)} for n, (op, *i) in nodes.items()})


# Squares its state at every step, on top of what it reads.
OVERFLOWING = cell(
    sum=("linear", "x", "h_prev_0"),
    active=("activation_leaky_relu", "sum"),
    square=("elementwise_prod", "h_prev_0", "h_prev_0"),
    h_new_0=("elementwise_sum", "active", "square"),
)
# Its state is a product with itself, and starts at zero.
DYING = cell(
    sum=("linear", "x", "h_prev_0"),
    active=("activation_tanh", "sum"),
    h_new_0=("elementwise_prod", "active", "h_prev_0"),
)
# Sigmoids are above zero whatever they read.
SIGMOIDS = cell(sum=("linear", "x", "h_prev_0"), h_new_0=("activation_sigm", "sum"))
LINEAR = cell(h_new_0=("linear", "x", "h_prev_0"))


def strict(result: Score) -> dict[str, Any]:
    """The score through JSON, which has no infinity and no NaN."""
    found: dict[str, Any] = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    return found


def why(result: Score, name: str) -> str:
    """The part of the problem that is about one score."""
    assert result.problem is not None
    return next(part for part in result.problem.split("; ") if part.startswith(f"{name} is "))


# Scores


def test_one_architecture_gives_one_score_and_a_list_gives_a_list(corpus: Corpus) -> None:
    options: dict[str, Any] = {"text": corpus, "metrics": ["parameters"], "scale": TINY}
    one = score("rnn", LSTM, **options)
    several = score("rnn", [LSTM, GRU], **options)
    assert isinstance(one, Score) and isinstance(several, list)
    assert [s.scores for s in several] == [one.scores, {"parameters": several[1]["parameters"]}]
    assert [s.fingerprint for s in several] == [SPACE.fingerprint(LSTM), SPACE.fingerprint(GRU)]
    assert score("rnn", [], **options) == []


def test_an_architecture_may_be_a_recipe_its_json_or_a_name(corpus: Corpus) -> None:
    forms = [LSTM, LSTM.to_json(), LSTM.to_json().encode(), LSTM.to_dict(), "lstm"]
    found = score("rnn", forms, text=corpus, metrics=["hidden_covariance"], scale=TINY)
    assert isinstance(found, list)
    assert all(s.scores == found[0].scores for s in found)
    assert score(SPACE, "lstm", text=corpus, metrics="hidden_covariance", scale=TINY) is not None


def test_a_score_is_read_by_its_metrics_name(corpus: Corpus) -> None:
    result = Scorer("rnn", corpus, ["hidden_covariance", "parameters"], TINY).score(LSTM)
    assert result["hidden_covariance"] == result["hidden_covariance[1]"]
    assert set(result.scores) == {
        "hidden_covariance",
        "hidden_covariance[1]",
        "hidden_covariance[2]",
        "parameters",
    }
    assert result.problem is None and 0 < result.seconds < 60
    with pytest.raises(KeyError):
        result["jacobian_cosine"]


def test_every_metric_is_scored_by_default(corpus: Corpus) -> None:
    result = Scorer("rnn", corpus, scale=TINY).score(GRU)
    assert set(OWN) <= result.scores.keys()
    assert all(isinstance(value, float) for value in result.scores.values())


def test_many_architectures_come_in_their_order_and_one_at_a_time(corpus: Corpus) -> None:
    drawn = []

    def architectures() -> Iterator[Recipe]:
        for recipe in (LSTM, GRU, SIGMOIDS):
            drawn.append(recipe)
            yield recipe

    scorer = Scorer("rnn", corpus, ["parameters"], TINY)
    found = scorer.score_all(architectures())
    first = next(found)
    assert drawn == [LSTM]
    marks = [first.fingerprint, *(s.fingerprint for s in found)]
    assert marks == [SPACE.fingerprint(r) for r in (LSTM, GRU, SIGMOIDS)]


def test_names_may_be_given_as_one_text_or_be_parsed_already(corpus: Corpus) -> None:
    names = "parameters,hidden_covariance[1]"
    expected = {"parameters", "hidden_covariance[1]"}
    assert Scorer("rnn", corpus, names, TINY).score(LSTM).scores.keys() == expected
    assert Scorer("rnn", corpus, parse_requests(names), TINY).score(LSTM).scores.keys() == expected
    assert Scorer("rnn", corpus, iter(expected), TINY).score(LSTM).scores.keys() == expected


def test_the_depth_is_that_of_the_deepest_layer_wanted(corpus: Corpus) -> None:
    def depth(*names: str) -> int | None:
        return Scorer("rnn", corpus, names, TINY).depth

    assert depth("parameters") == 0
    assert depth("hidden_covariance[1]") == 1
    assert depth("hidden_covariance[1]", "hidden_covariance_of_inputs[2]", "parameters") == 2
    assert depth("hidden_covariance[2]", "hidden_covariance_of_inputs[1]") == 2
    assert depth("hidden_covariance") is None
    assert depth("hidden_covariance[1]", "activation_distance") is None
    assert depth("hidden_covariance[1]", "jacobian_cosine") is None


def test_parameters_alone_need_no_pass_and_no_weights(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = sum(p.numel() for p in SPACE.build(LSTM, 60, TINY).parameters())

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a pass was made or a weight was drawn")

    monkeypatch.setattr(RecurrentRecorder, "record", refuse)
    monkeypatch.setattr(RecurrentRecorder, "embed", refuse)
    monkeypatch.setattr(RecurrentSpace, "_filled", refuse)
    scorer = Scorer("rnn", corpus, ["parameters"], TINY)
    assert len(scorer.vocabulary) == 60
    assert scorer.score(LSTM).scores == {"parameters": expected}


def test_parameters_at_the_papers_scale_are_those_of_the_published_lstm() -> None:
    # 4 gates of 400 + 600, 600 + 600 and 600 + 400 inputs, and the tied matrix with its bias.
    layers = [(400, 600), (600, 600), (600, 400)]
    expected = sum(4 * (i * h + h * h + h) for i, h in layers) + 60 * 400 + 60
    text = Corpus("w", {"all": tuple(f"w{i % 60}" for i in range(3500))}, "0" * 64, ("w",))
    result = score("rnn", "lstm", text=text, metrics=["parameters"], scale="paper")
    assert isinstance(result, Score) and result.scores == {"parameters": expected}


# A space that has no recorder of its own


class Widths:
    """Networks of one width; what a search needs besides is left out."""

    name = "widths"
    kind = "other"
    tokenization = "words"
    scales: ClassVar = {"fast": Scale(batch_size=4, sequence_length=12)}
    default_scale = "fast"

    def __init__(self, recurrent: bool) -> None:
        self._recurrent = recurrent

    def parse(self, document: int) -> int:
        return document

    def fingerprint(self, architecture: int) -> str:
        return f"{architecture:016x}"

    def build(self, architecture: int, vocabulary_size: int, scale: Scale, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        embedding = nn.Embedding(vocabulary_size, architecture)
        if self._recurrent:
            return nn.Sequential(embedding, nn.RNN(architecture, architecture))
        return nn.Sequential(embedding, nn.Linear(architecture, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.mark.parametrize(
    ("recurrent", "metric"), [(True, "hidden_covariance"), (False, "activation_distance")]
)
def test_a_space_without_a_recorder_has_its_plain_networks_recorded(
    recurrent: bool, metric: str, corpus: Corpus
) -> None:
    names = [metric, "parameters", "jacobian_cosine", "flops"]
    space = Widths(recurrent)
    scorer = Scorer(space, corpus, names)
    narrow, wide = scorer.score_all([5, 6])
    module = space.build(5, len(scorer.vocabulary), scorer.scale, scorer.seed)
    # Only recurrent modules take time first.
    batch = scorer.minibatch if recurrent else scorer.minibatch.t()
    assert narrow.scores == archscout.score_module(module, batch, names).scores
    assert narrow["parameters"] < wide["parameters"]
    assert narrow.fingerprint == "0000000000000005"


def test_a_kind_that_its_networks_do_not_show_is_refused(corpus: Corpus) -> None:
    space = Widths(True)
    space.kind = "transformer"
    with pytest.raises(InputError, match=r"widths is of kind 'transformer'.* recorded as 'other'"):
        score(space, 5, text=corpus, metrics=["parameters"])


def test_what_its_networks_lack_is_said(corpus: Corpus) -> None:
    with pytest.raises(InputError, match="does not apply to space widths: it has no activation"):
        score(Widths(True), 5, text=corpus, metrics=["activation_distance"])


# What a score depends on


NAMES = ("hidden_covariance[1]", "jacobian_covariance", "large_noise_jacobian")


def test_the_seed_changes_weights_and_noise(corpus: Corpus) -> None:
    one, same, other = (Scorer("rnn", corpus, NAMES, TINY, seed).score(LSTM) for seed in (0, 0, 1))
    assert one.scores == same.scores
    assert all(one[name] != other[name] for name in NAMES)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_numpy_cannot_take_is_refused(seed: int, corpus: Corpus) -> None:
    with pytest.raises(InputError, match=f"seed is {seed}; from 0 to"):
        Scorer("rnn", corpus, ["parameters"], TINY, seed=seed)


def test_the_noise_is_drawn_from_the_scorers_seed(corpus: Corpus) -> None:
    name = "large_noise_jacobian"
    scorer = Scorer("rnn", corpus, [name], TINY, seed=7)
    recorder = SPACE.recorder(LSTM, 60, TINY, 7, None)
    asked = scorer.requests[0]
    right, wrong = (trace(recorder, scorer.minibatch, asked.metric.needs, seed=s) for s in (7, 0))
    assert scorer.score(LSTM).scores == asked.values(right) != asked.values(wrong)


def test_another_minibatch_gives_other_scores(corpus: Corpus) -> None:
    one, other = (Scorer("rnn", corpus, NAMES, TINY, minibatch_index=i) for i in (0, 1))
    assert not torch.equal(one.minibatch, other.minibatch)
    first, second = one.score(LSTM), other.score(LSTM)
    assert all(first[name] != second[name] for name in NAMES)


def test_minibatches_hold_the_texts_columns(corpus: Corpus) -> None:
    scorer = Scorer("rnn", corpus, NAMES, TINY)
    tokens = corpus.tokens()
    assert scorer.minibatch.shape == (12, 4)
    for column in range(4):
        start = column * (len(tokens) // 4)
        decoded = scorer.vocabulary.decode(scorer.minibatch[:, column])
        assert decoded == tokens[start : start + 12]


def test_a_limit_makes_the_vocabulary_smaller(corpus: Corpus) -> None:
    free = Scorer("rnn", corpus, [*NAMES, "parameters"], TINY)
    limited = Scorer("rnn", corpus, [*NAMES, "parameters"], TINY, vocabulary_size=20)
    assert (len(free.vocabulary), len(limited.vocabulary)) == (60, 20)
    assert int(limited.minibatch.max()) < 20
    one, other = free.score(LSTM), limited.score(LSTM)
    assert one["parameters"] - other["parameters"] == 40 * (8 + 1)
    assert one["hidden_covariance[1]"] != other["hidden_covariance[1]"]


def test_the_test_split_is_scored_unless_another_is_named() -> None:
    splits = {
        name: tuple(f"{name}{i % 7}" for i in range(300)) for name in ("train", "valid", "test")
    }
    text = Corpus("three", splits, "0" * 64, ("three",))
    scorer = Scorer("rnn", text, ["parameters"], TINY)
    assert len(scorer.vocabulary) == 21
    assert set(scorer.vocabulary.decode(scorer.minibatch.flatten())) == {
        f"test{i}" for i in range(7)
    }
    trained = Scorer("rnn", text, ["parameters"], TINY, split="train")
    assert torch.equal(trained.minibatch, scorer.minibatch - 14)


def test_a_text_may_be_a_file(tmp_path: Path, corpus: Corpus) -> None:
    path = tmp_path / "words.txt"
    tokens = corpus.tokens()
    path.write_text("\n".join(" ".join(tokens[i : i + 10]) for i in range(0, 2000, 10)))
    found = score("rnn", "lstm", text=path, metrics=["hidden_covariance[1]"], scale=TINY)
    assert isinstance(found, Score) and found.problem is None


@pytest.mark.parametrize("scale", ["fast", "paper"])
def test_the_scales_are_those_of_the_paper_and_of_search(scale: str) -> None:
    sizes = {"fast": (35, 20, 64, 96, 3), "paper": (70, 50, 400, 600, 3)}[scale]
    text = Corpus("w", {"all": tuple(f"w{i % 60}" for i in range(3500))}, "0" * 64, ("w",))
    found = Scorer("rnn", text, ["parameters"], scale).scale
    assert isinstance(found, RecurrentScale)
    assert sizes == (
        found.sequence_length,
        found.batch_size,
        found.embedding_size,
        found.hidden_size,
        found.num_layers,
    )
    if scale == "fast":
        assert Scorer("rnn", text, ["parameters"]).scale == found


# Scores that are not finite


def test_states_that_overflow_are_a_problem_that_names_layer_and_step(corpus: Corpus) -> None:
    long = TINY.resized(sequence_length=60)
    result = Scorer("rnn", corpus, OWN, long).score(OVERFLOWING)
    recorder = SPACE.recorder(OVERFLOWING, 60, long, 0, None)
    minibatch = Scorer("rnn", corpus, OWN, long).minibatch
    states = trace(recorder, minibatch, {"hidden_states"}).hidden_states[0]
    step = next(t for t in range(60) if not states[t].isfinite().all())
    assert states[step].isfinite().any()
    expected = f"the hidden states of layer 1 overflow at step {step}"
    for name in ("hidden_covariance", "jacobian_covariance", "synaptic_saliency"):
        assert not math.isfinite(result[name])
    assert re.search(f"^hidden_covariance is nan.*: {expected}$", why(result, "hidden_covariance"))
    short = Scorer("rnn", corpus, ["hidden_covariance"], TINY.resized(sequence_length=5))
    assert short.score(OVERFLOWING).problem is None


def test_states_that_die_are_a_problem_that_says_how_many(corpus: Corpus) -> None:
    result = Scorer("rnn", corpus, OWN, TINY).score(DYING)
    assert math.isnan(result["hidden_covariance"]) and math.isnan(result["jacobian_cosine"])
    reason = "10 of 10 hidden units of layer 1 do not vary"
    assert why(result, "hidden_covariance").endswith(reason)
    alone = Scorer("rnn", corpus, ["hidden_covariance[2]"], TINY).score(DYING)
    assert alone.problem == f"hidden_covariance[2] is nan: {reason}"


def test_sigmoids_alone_have_no_activation_distance(corpus: Corpus) -> None:
    names = ["activation_distance", "activation_distance_released", "hidden_covariance"]
    result = Scorer("rnn", corpus, names, TINY).score(SIGMOIDS)
    assert result["activation_distance"] == -math.inf
    assert result["activation_distance_released"] == -math.inf
    assert math.isfinite(result["hidden_covariance"])
    expected = "is -inf: two inputs switch every activation alike, or activations are not finite"
    assert why(result, "activation_distance").endswith(expected)
    assert "hidden_covariance" not in (result.problem or "")


def test_a_cell_without_activations_has_no_activation_distance(corpus: Corpus) -> None:
    result = Scorer("rnn", corpus, OWN, TINY).score(LINEAR)
    assert result["activation_distance"] == -math.inf
    assert math.isfinite(result["hidden_covariance"])
    assert result.problem


@pytest.mark.parametrize("recipe", [OVERFLOWING, DYING, SIGMOIDS, LINEAR])
def test_scores_that_are_not_finite_become_null_in_strict_json(
    recipe: Recipe, corpus: Corpus
) -> None:
    result = Scorer("rnn", corpus, OWN, TINY.resized(sequence_length=60)).score(recipe)
    document = strict(result)
    assert document.keys() == {"fingerprint", "scores", "seconds", "problem"}
    assert document["fingerprint"] == SPACE.fingerprint(recipe)
    assert document["problem"] == result.problem
    for name, value in result.scores.items():
        assert document["scores"][name] == (value if math.isfinite(value) else None)
    assert None in document["scores"].values()


def test_finite_scores_pass_through_json_unchanged(corpus: Corpus) -> None:
    result = Scorer("rnn", corpus, OWN, TINY).score(LSTM)
    document = strict(result)
    assert document["scores"] == result.scores and document["problem"] is None


def test_whatever_is_sampled_is_scored_and_every_gap_is_explained(corpus: Corpus) -> None:
    long = RecurrentScale(4, 70, 6, 7, 2, "canonical")
    scorer = Scorer("rnn", corpus, OWN, long)
    problems = []
    for recipe in itertools.islice(RecurrentSpace(steps=12).samples(0), 12):
        result = scorer.score(recipe)
        missing = [name for name, value in result.scores.items() if not math.isfinite(value)]
        for name in missing:
            assert result.problem is not None and f"{name} is " in result.problem
        assert (result.problem is None) == (not missing)
        strict(result)
        problems.append(result.problem)
    assert None in problems and any("overflow" in problem for problem in problems if problem)


def test_a_cell_that_does_not_read_its_input_is_a_problem_and_no_error(corpus: Corpus) -> None:
    recipe = cell(sum=("linear", "h_prev_0"), h_new_0=("activation_tanh", "sum"))
    result = Scorer("rnn", corpus, ["jacobian_covariance", "jacobian_cosine"], TINY).score(recipe)
    assert math.isnan(result["jacobian_covariance"]) and result.problem


def test_an_overflow_spoils_the_activation_distance_too(corpus: Corpus) -> None:
    long = TINY.resized(sequence_length=60)
    result = Scorer("rnn", corpus, ["activation_distance"], long).score(OVERFLOWING)
    assert not math.isfinite(result["activation_distance"])
    assert result.problem


def test_a_batch_of_one_is_a_problem_and_no_error(corpus: Corpus) -> None:
    result = Scorer("rnn", corpus, OWN, TINY.resized(batch_size=1)).score(LSTM)
    assert result.problem and "jacobian_cosine" in result.problem


@pytest.mark.parametrize("name", ["hidden_covariance", "jacobian_covariance"])
def test_a_sequence_of_one_step_is_no_error(name: str, corpus: Corpus) -> None:
    # Only the zero state enters the only step.
    result = Scorer("rnn", corpus, [name], TINY.resized(sequence_length=1)).score(LSTM)
    assert math.isfinite(result[name]) == (result.problem is None) == (name != "hidden_covariance")


# Mistakes


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"space": "rnnn"}, r"unknown space 'rnnn' \(did you mean rnn\?\)"),
        ({"space": "unheard-of"}, r"unknown space 'unheard-of'; known: .*rnn"),
        ({"scale": "huge"}, "unknown scale 'huge'; space rnn has paper, fast"),
        ({"metrics": ["jacobian_cosin"]}, "unknown metric 'jacobian_cosin'; did you mean jacobian"),
        ({"metrics": []}, "no metric was named"),
        ({"metrics": "parameters,,"}, "unknown metric ''"),
        ({"device": "abacus"}, "device 'abacus' cannot be used: "),
        ({"device": "meta"}, "device 'meta' cannot be used: it holds shapes without values; one"),
        ({"device": "cuda:977"}, "device 'cuda:977' cannot be used: "),
        ({"split": "valid"}, "has no split 'valid'"),
        ({"vocabulary_size": 1}, "vocabulary limit 1: "),
        ({"minibatch_index": -1}, "minibatch index -1: "),
        ({"minibatch_index": 1000}, r"the text has 6000 tokens, and minibatch 1000 .* needs 48048"),
        ({"text": "/no/such/text"}, "/no/such/text"),
    ],
)
def test_a_mistake_in_the_settings_is_named(
    settings: dict[str, Any], complaint: str, corpus: Corpus
) -> None:
    usual: dict[str, Any] = {"space": "rnn", "text": corpus, "metrics": OWN, "scale": TINY}
    with pytest.raises(InputError, match=complaint):
        Scorer(**(usual | settings))


def test_a_text_that_is_too_short_is_refused_with_the_number_needed() -> None:
    text = Corpus("short", {"all": ("a", "b") * 20}, "0" * 64, ("short",))
    with pytest.raises(InputError, match=r"the text has 40 tokens, .* needs 48;"):
        Scorer("rnn", text, OWN, TINY)


@pytest.mark.parametrize(
    ("architecture", "complaint"),
    [
        ("not json", "not valid JSON"),
        ("[1, 2]", r"recipe is \[1, 2\]; expected an object"),
        ("{}", "recipe is empty"),
        ({"h_new_0": {"op": "activation_tan", "input": ["x"]}}, "did you mean activation_tanh"),
    ],
)
def test_a_mistake_in_an_architecture_is_named(
    architecture: Any, complaint: str, corpus: Corpus
) -> None:
    with pytest.raises(InputError, match=complaint):
        score("rnn", architecture, text=corpus, metrics=["parameters"], scale=TINY)


def test_a_misspelt_name_of_an_architecture_suggests_the_nearest(corpus: Corpus) -> None:
    with pytest.raises(InputError, match="lstm"):
        score("rnn", "lsmt", text=corpus, metrics=["parameters"], scale=TINY)


@pytest.mark.parametrize("architecture", [5, None])
def test_what_is_no_architecture_is_refused(architecture: Any, corpus: Corpus) -> None:
    with pytest.raises(InputError):
        score("rnn", architecture, text=corpus, metrics=["parameters"], scale=TINY)


def test_a_name_in_the_space_is_that_architecture() -> None:
    for name, recipe in SPACE.named.items():
        assert SPACE.parse(name) == recipe


# Threads


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_small_networks_use_one_thread_and_leave_their_number_as_it_was(
    corpus: Corpus,
) -> None:
    seen = []

    @metric(needs={"hidden_states"}, larger_is_better=True)
    def threads(trace: Trace) -> float:
        seen.append(torch.get_num_threads())
        return 0.0

    Scorer("rnn", corpus, ["threads"], TINY).score(LSTM)
    assert torch.get_num_threads() == 2
    large = RecurrentScale(50, 2, 4, 600, 1, "canonical")
    Scorer("rnn", corpus, ["threads"], large).score(SIGMOIDS)
    assert torch.get_num_threads() == 2
    assert seen == [1, 2]


@pytest.mark.usefixtures("two_threads")
def test_the_number_of_threads_is_put_back_after_an_error(corpus: Corpus) -> None:
    @metric(needs={"hidden_states"}, larger_is_better=True)
    def failing(trace: Trace) -> float:
        raise ArithmeticError("halfway")

    with pytest.raises(ArithmeticError):
        Scorer("rnn", corpus, ["failing"], TINY).score(LSTM)
    assert torch.get_num_threads() == 2


def test_the_public_face_is_the_scoring_rooms() -> None:
    assert archscout.score is score
    assert archscout.Scorer is Scorer


def test_recurrent_networks_have_the_loss_of_the_next_token() -> None:
    names = ["snip", "parameters"]
    by_sum, by_loss = (
        Scorer("rnn", metrics=names, objective=objective).score(RecurrentSpace.named["gru"])
        for objective in ("sum", "loss")
    )
    assert by_loss.problem is None and 0 < by_loss["snip"] < by_sum["snip"]


def test_units_that_stand_still_are_the_reason_of_what_reads_them_alone() -> None:
    states = torch.zeros(3, 2, 4)
    traced = Trace(0, torch.zeros(3, 2), hidden_states=[states])
    reads, others = (parse_requests([n], "other")[0] for n in ("hidden_covariance", "grasp"))
    assert "4 of 4 hidden units" in str(measuring._cause(traced, reads))
    assert measuring._cause(traced, others) is None
    overflown = Trace(0, torch.zeros(3, 2), hidden_states=[states + math.inf])
    assert "overflow at step 0" in str(measuring._cause(overflown, others))
