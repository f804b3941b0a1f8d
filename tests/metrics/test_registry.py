"""Metrics by name, metrics of one's own, and metrics of other packages."""

import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import archscout
from archscout import InputError, Scorer, metric
from archscout.metrics import (
    Request,
    available,
    carried,
    load_file,
    registry,
    request,
    sha256_of,
)
from archscout.text import Corpus
from archscout.tracing import Trace
from archscout.tracing.quantities import QUANTITIES

OWN = {name: found for name, found in available().items() if found.source}
CORPUS = Corpus(
    "words", {"all": tuple(f"w{i * i % 97}" for i in range(2000))}, "0" * 64, ("words",)
)
LSTM = archscout.spaces.RecurrentSpace.named["lstm"]


def score(*names: str) -> archscout.Score:
    return Scorer("rnn", CORPUS, names, "fast").score(LSTM)


# Metrics of archscout's own


def test_every_published_recurrent_metric_is_there() -> None:
    assert set(OWN) >= {
        "activation_distance",
        "hidden_covariance",
        "hidden_synaptic_saliency",
        "jacobian_cosine",
        "jacobian_covariance",
        "large_noise_jacobian",
        "large_noise_jacobian_cosine",
        "more_noised_jacobian",
        "more_noised_jacobian_cosine",
        "parameters",
        "small_noise_jacobian",
        "small_noise_jacobian_cosine",
        "synaptic_saliency",
    }


@pytest.mark.parametrize("name", OWN)
def test_every_metric_says_what_it_is_where_from_and_what_is_better(name: str) -> None:
    found = OWN[name]
    assert found.name == name
    assert found.summary.endswith(".")
    assert any(character.isdigit() for character in found.source)
    assert isinstance(found.larger_is_better, bool)
    assert found.needs <= QUANTITIES.keys()
    assert found.undefined


def test_names_come_in_alphabetical_order() -> None:
    assert list(available()) == sorted(available())


def test_available_metrics_cannot_be_changed_from_outside() -> None:
    names = dict(available())
    names.clear()
    assert "hidden_covariance" in available()


# Registering


def test_a_decorated_function_is_a_metric_and_stays_a_function() -> None:
    @metric(needs={"hidden_states"}, larger_is_better=True)
    def mean_state(trace: Trace) -> float:
        """Mean of the first layer's states."""
        return trace.hidden_states[0].mean().item()

    assert available()["mean_state"].function is mean_state
    assert available()["mean_state"].summary == "Mean of the first layer's states."
    assert mean_state(Trace(0, torch.zeros(1), hidden_states=[torch.ones(2, 2, 2)])) == 1
    assert -1 < score("mean_state")["mean_state"] < 1


def test_a_metric_may_have_another_name_than_its_function() -> None:
    @metric(needs=set(), larger_is_better=False, name="answer", source="Adams 1979")
    def compute(trace: Trace) -> float:
        return 42.0

    assert score("answer").scores == {"answer": 42.0}
    found = available()["answer"]
    assert (found.larger_is_better, found.source, found.summary) == (False, "Adams 1979", "")


OF_TRANSFORMERS = {"position_gradient", "preactivations", "projections", "softmaxes"}


def test_a_metric_reads_what_it_needs() -> None:
    @metric(needs=QUANTITIES.keys() - OF_TRANSFORMERS, larger_is_better=True)
    def complete(trace: Trace) -> float:
        assert trace.output is not None and trace.embedding_gradient is not None
        assert trace.hidden_states and trace.activations and trace.hidden_state_gradients
        assert trace.weight_gradients and trace.squared_weight_gradients
        assert trace.tied_weight_gradient and trace.squared_tied_weight_gradient
        assert sorted(trace.noised_embedding_gradients) == [0.1, 10.0, 100.0]
        return trace.parameters

    assert score("complete")["complete"] == score("parameters")["parameters"]


@pytest.mark.parametrize("need", sorted(OF_TRANSFORMERS))
def test_a_need_that_recurrent_networks_cannot_meet(need: str) -> None:
    metric(needs={need}, larger_is_better=True, name="for_transformers")(lambda trace: 1.0)
    with pytest.raises(InputError, match="metric for_transformers does not apply to space rnn: "):
        score("for_transformers")


@pytest.mark.parametrize("need", sorted(QUANTITIES.keys() - OF_TRANSFORMERS))
def test_each_quantity_can_be_needed_alone(need: str) -> None:
    @metric(needs={need}, larger_is_better=True)
    def alone(trace: Trace) -> float:
        name, _, amplitude = need.rstrip("]").partition("[")
        value = getattr(trace, name + "s" if amplitude else name)
        value = value[float(amplitude)] if amplitude else value
        assert value is not None and value != []
        return 1.0

    assert score("alone")["alone"] == 1


def test_an_unknown_need_is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError, match=r"needs colour, smell; a trace has .*hidden_states"):
        metric(needs={"smell", "colour", "output"}, larger_is_better=True)


def test_the_name_of_another_function_is_refused() -> None:
    with pytest.raises(InputError, match=r"'hidden_covariance' is taken by .*hidden_cov"):

        @metric(needs={"output"}, larger_is_better=True)
        def hidden_covariance(trace: Trace) -> float:
            return 0.0

    assert available()["hidden_covariance"].main_layer == 1


def test_a_function_that_is_defined_again_replaces_itself() -> None:
    # As when a notebook's cell is run twice.
    def define(value: float) -> Callable[[Trace], float | list[float]]:
        @metric(needs={"output"}, larger_is_better=True)
        def again(trace: Trace) -> float:
            return value

        return again

    define(1.0)
    define(2.0)
    assert score("again")["again"] == 2


def test_a_metric_by_layer_gives_one_value_a_layer() -> None:
    @metric(needs={"hidden_states"}, larger_is_better=True, main_layer=2)
    def units(trace: Trace) -> list[float]:
        return [states.shape[-1] for states in trace.hidden_states]

    assert score("units").scores == {"units": 96, "units[1]": 96, "units[2]": 96, "units[3]": 64}
    assert score("units[3]").scores == {"units[3]": 64}


@pytest.mark.parametrize("value", [None, [1.0, 2.0], "many", torch.zeros(2), {}])
def test_a_metric_that_returns_no_number_is_named(value: object) -> None:
    @metric(needs=set(), larger_is_better=True)
    def strange(trace: Trace) -> float:
        return value  # type: ignore[return-value]

    with pytest.raises(InputError, match=r"metric strange returned .*must return a number"):
        score("strange")


@pytest.mark.parametrize("value", [1.0, None, torch.zeros(3)])
def test_a_metric_by_layer_that_returns_no_list_is_named(value: object) -> None:
    @metric(needs=set(), larger_is_better=True, main_layer=1)
    def strange(trace: Trace) -> list[float]:
        return value  # type: ignore[return-value]

    with pytest.raises(InputError, match=r"metric strange returned .*one number a layer"):
        score("strange")


def test_a_metric_by_layer_with_a_value_that_is_no_number_is_named() -> None:
    @metric(needs=set(), larger_is_better=True, main_layer=1)
    def strange(trace: Trace) -> list[float]:
        return [1.0, None, 2.0]  # type: ignore[list-item]

    with pytest.raises(InputError, match="metric strange returned None"):
        score("strange")


@pytest.mark.parametrize("value", [3, True, torch.tensor(3.0), math.nan])
def test_a_number_of_any_kind_becomes_a_float(value: float) -> None:
    @metric(needs=set(), larger_is_better=True)
    def constant(trace: Trace) -> float:
        return value

    assert type(score("constant")["constant"]) is float


# Requests


def test_a_bare_name_asks_for_every_layer() -> None:
    asked = request("hidden_covariance")
    assert (asked.column, asked.metric, asked.layer) == (
        "hidden_covariance",
        OWN["hidden_covariance"],
        None,
    )


def test_a_layer_in_brackets_asks_for_that_layer() -> None:
    asked = request(" hidden_covariance[2] ")
    assert asked == Request("hidden_covariance[2]", OWN["hidden_covariance"], 2)


def test_the_main_layer_is_what_a_bare_name_stands_for() -> None:
    assert request("hidden_covariance").main().layer == 1
    assert request("hidden_covariance[3]").main().layer == 3
    assert request("jacobian_cosine").main().layer is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hidden_covariance[0]", "layers count from 1"),
        ("jacobian_cosine[1]", "not a per-layer metric"),
        ("parameters[2]", "not a per-layer metric"),
        ("hiden_covarience", "unknown metric 'hiden_covarience'; did you mean hidden_covariance"),
        ("synaptic_salience", "did you mean synaptic_saliency"),
        ("zzzz", "unknown metric 'zzzz'; known: activation_distance, "),
        ("", "unknown metric ''; known: "),
        ("hidden_covariance[]", "unknown metric"),
        ("hidden_covariance[-1]", "unknown metric"),
        ("hidden_covariance[1", "unknown metric"),
        ("hidden_covariance[1][2]", "unknown metric"),
        ("hidden_covariance[one]", "unknown metric"),
        ("jacobian_cosine_plain", "unknown metric 'jacobian_cosine_plain'; did you mean "),
        ("_published", "unknown metric"),
        ("published", "unknown metric"),
    ],
)
def test_a_name_that_asks_for_nothing_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        request(text)


def test_a_layer_beyond_the_networks_is_refused() -> None:
    with pytest.raises(InputError, match=r"hidden_covariance\[9\]: the network has 3 layer"):
        score("hidden_covariance[9]")


@pytest.mark.parametrize("form", ["published", "released"])
@pytest.mark.parametrize("name", OWN)
def test_every_metric_can_be_asked_for_in_every_form(name: str, form: str) -> None:
    if name.endswith(registry.FORMS):
        return
    found = request(f"{name}_{form}")
    assert found.column == f"{name}_{form}"
    expected = OWN.get(f"{name}_{form}", OWN[name])
    assert found.metric == expected


def test_a_form_keeps_its_name_and_its_layers() -> None:
    scores = score("hidden_covariance_published", "hidden_covariance").scores
    for layer in ("", "[1]", "[2]", "[3]"):
        assert scores[f"hidden_covariance_published{layer}"] == scores[f"hidden_covariance{layer}"]
    name = "hidden_covariance_released[2]"
    assert score(name).scores == {name: pytest.approx(scores["hidden_covariance[2]"], rel=1e-6)}


def test_forms_with_a_definition_of_their_own_differ() -> None:
    scores = score(
        "synaptic_saliency",
        "synaptic_saliency_published",
        "synaptic_saliency_released",
        "activation_distance",
        "activation_distance_released",
    ).scores
    assert len(set(scores.values())) == len(scores)


# Metrics of other packages


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """An installed distribution that offers a metric, not yet noticed."""
    (tmp_path / "their_metrics.py").write_text(
        "from archscout import metric\n\n\n"
        "@metric(needs={'hidden_states'}, larger_is_better=True, source='them')\n"
        "def largest_state(trace):\n"
        "    '''The largest hidden state.'''\n"
        "    return max(states.max().item() for states in trace.hidden_states)\n"
    )
    distribution = tmp_path / "their_metrics-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: their-metrics\n")
    points = distribution / "entry_points.txt"
    points.write_text("[archscout.metrics]\ntheirs = their_metrics\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry._load_entry_points.cache_clear()
    yield SimpleNamespace(points=points)
    registry._load_entry_points.cache_clear()
    sys.modules.pop("their_metrics", None)


def test_another_packages_metric_is_found_by_its_entry_point(
    other_package: SimpleNamespace,
) -> None:
    assert available()["largest_state"].summary == "The largest hidden state."
    assert 0 < score("largest_state")["largest_state"] < 1


def test_a_request_alone_finds_another_packages_metric(other_package: SimpleNamespace) -> None:
    assert request("largest_state").metric.source == "them"


def test_a_file_is_run_where_only_its_content_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "import archscout\n"
        "@archscout.metric(needs={'hidden_states'}, larger_is_better=True)\n"
        "def first_state(trace):\n"
        "    return trace.hidden_states[0].max().item()\n"
    )
    run, known = carried([path]), sha256_of([path])
    assert run is not None and carried([path], known) is not None
    path.write_text("# other")
    with pytest.raises(InputError, match=r"a file of metrics has changed .*mine.py.*put it back"):
        carried([path], known)
    path.unlink()
    run()
    run()  # once
    assert 0 < score("first_state")["first_state"] < 1
    with pytest.raises(InputError, match=r"no file '.*mine.py'; a file of Python"):
        carried([path])
    assert carried([]) is None
    path.write_text("x = 1\nx / 0\n")
    with pytest.raises(InputError, match=r"mine.py, line 2: ZeroDivisionError"):
        load_file(path.rename(tmp_path / "other-mine.py"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "transformers"}, "kind is 'transformers'; accepted: transformer, other"),
        ({"main_layer": 0}, "main_layer is 0; a layer from 1"),
        ({"main_layer": -2}, "main_layer is -2"),
        ({"needs": "hidden_states"}, "metric needs 'hidden_states'; a set of names"),
    ],
)
def test_what_a_metric_is_registered_with_is_checked(changes: dict, message: str) -> None:
    settings = {"needs": {"hidden_states"}, "larger_is_better": True} | changes
    with pytest.raises(InputError, match=message):
        metric(**settings)
