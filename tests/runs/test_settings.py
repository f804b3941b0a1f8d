"""Limits, objectives and settings as a user gives them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from archscout import InputError
from archscout.runs import Run
from archscout.runs.search_settings import (
    SearchSettings,
    parse_limit,
    parse_objective,
    parse_objectives,
)
from archscout.scoring import check_count, check_seed
from archscout.spaces import RecurrentSpace
from archscout.text.minibatches import check_at_least

SETTINGS: dict[str, Any] = {
    "space": "rnn",
    "text": ["/a.txt"],
    "objectives": ["hidden_covariance:max"],
    "limits": {"parameters": 1e6},
    "trials": 10,
    "seed": 0,
    "sampler": "nsga2",
    "population_size": 50,
    "scale": {"batch_size": 1},
    "model_scale": {"batch_size": 1},
    "split": None,
    "vocabulary_size": None,
    "minibatch_index": 0,
    "device": "cpu",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10M", 1e7),
        ("10m", 1e7),
        (" 10 M ", 1e7),
        ("1.5K", 1500),
        ("2G", 2e9),
        ("1e6", 1e6),
        ("1E6", 1e6),
        ("1e+6", 1e6),
        (1e6, 1e6),
        (1000, 1000),
        ("0.5", 0.5),
    ],
)
def test_a_limit_is_a_number_with_a_unit(text: str | float, expected: float) -> None:
    assert parse_limit("parameters", text) == expected


@pytest.mark.parametrize(
    ("cost", "text", "expected"),
    [
        ("memory", "50MB", 5e7),
        ("cache_memory", "50mb", 5e7),
        ("memory", "7B", 7),
        ("memory", "10M", 1e7),
        ("latency", "5ms", 5),
        ("token_latency", "2s", 2000),
        ("latency", "5", 5),
    ],
)
def test_a_limit_has_the_units_of_its_cost(cost: str, text: str, expected: float) -> None:
    assert parse_limit(cost, text) == expected


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        *(("latency", "5MB"), ("latency", "5m"), ("latency", "5M"), ("memory", "500ms")),
        *(("parameters", "2s"), ("parameters", "50MB"), ("flops", "5B")),
    ],
)
def test_a_unit_of_another_cost_is_refused(cost: str, text: str) -> None:
    with pytest.raises(InputError, match=f"max_{cost} is {text!r}; a positive number"):
        parse_limit(cost, text)


@pytest.mark.parametrize(
    "text", ["", "M", "ten", "10X", "0", "-5", "-5M", "1e", "--5", "1.2.3", "inf", "nan", "1e999"]
)
def test_what_is_no_positive_number_is_no_limit(text: str) -> None:
    with pytest.raises(InputError, match=f"max_parameters is {text!r}; a positive number"):
        parse_limit("parameters", text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0, -1.0])
def test_a_limit_given_as_a_number_must_be_positive_and_finite(value: float) -> None:
    with pytest.raises(InputError, match="a positive number"):
        parse_limit("flops", value)


def test_the_message_about_a_limit_shows_its_units() -> None:
    with pytest.raises(InputError, match="or 50MB"):
        parse_limit("memory", "much")
    with pytest.raises(InputError, match="or 5ms"):
        parse_limit("latency", "soon")


@pytest.mark.parametrize(
    ("text", "name", "direction"),
    [
        ("hidden_covariance", "hidden_covariance", "maximize"),
        ("hidden_covariance[2]", "hidden_covariance[2]", "maximize"),
        ("hidden_covariance:min", "hidden_covariance", "minimize"),
        (" latency ", "latency", "minimize"),
        ("parameters", "parameters", "minimize"),
        ("parameters:max", "parameters", "maximize"),
        ("memory:min", "memory", "minimize"),
        ("flops", "flops", "minimize"),
    ],
)
def test_an_objective_has_a_direction_of_its_own_or_the_one_given(
    text: str, name: str, direction: str
) -> None:
    found = parse_objective(text)
    assert (found.name, found.direction) == (name, direction)
    assert found.sign == (1 if direction == "maximize" else -1)


def test_costs_are_no_requests_for_metrics() -> None:
    assert parse_objective("parameters").request is None
    assert parse_objective("hidden_covariance").request is not None


def test_objectives_come_apart_or_with_commas() -> None:
    expected = ["hidden_covariance", "latency", "parameters"]
    for given in (
        "hidden_covariance,latency,parameters",
        ["hidden_covariance", "latency", "parameters"],
        ["hidden_covariance,latency", "parameters"],
        "hidden_covariance, latency,,parameters,",
    ):
        assert [o.name for o in parse_objectives(given)] == expected


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("", "no objective was given"),
        ([], "no objective was given"),
        (" , ", "no objective was given"),
        ("latency,latency", "latency, latency: each may stand once"),
        ("latency:min,latency:max", "each may stand once"),
        ("hidden_covarance", "unknown metric 'hidden_covarance'; did you mean hidden_covariance"),
        ("latency:fast", "objective 'latency:fast': direction 'fast'; accepted: min, max"),
        ("latency:", "direction ''; accepted: min, max"),
    ],
)
def test_a_mistake_in_the_objectives_is_named(given: Any, complaint: str) -> None:
    with pytest.raises(InputError, match=re.escape(complaint)):
        parse_objectives(given)


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "3", None])
def test_a_count_is_a_positive_whole_number(value: Any) -> None:
    with pytest.raises(InputError, match=f"trials is {value!r}; a positive whole number"):
        check_count("trials", value)


def test_a_count_may_have_to_be_larger() -> None:
    assert check_count("population_size", 2, 2) == 2
    with pytest.raises(InputError, match="population_size is 1; a whole number from 2"):
        check_count("population_size", 1, 2)


def test_all_that_differs_is_named_but_the_number_of_trials() -> None:
    before = SearchSettings(**SETTINGS)
    assert before.differences(SearchSettings(**SETTINGS | {"trials": 99})) == []
    other = SearchSettings(**SETTINGS | {"seed": 1, "sampler": "tpe"})
    assert before.differences(other) == ["seed is 1, was 0", "sampler is 'tpe', was 'nsga2'"]


def test_settings_survive_json() -> None:
    before = SearchSettings(**SETTINGS)
    assert SearchSettings.model_validate_json(before.model_dump_json()) == before


def test_what_earlier_runs_did_not_keep_is_taken_as_the_same(hunt: Any, tmp_path: Path) -> None:
    run = hunt(tmp_path / "run", trials=1)
    now = run.settings.model_copy(
        update={"space_arguments": {"states": 1}, "metric_sha256": ["0" * 64]}
    )
    document = run.settings.model_dump()
    for name in ("space_arguments", "metric_sha256"):
        del document[name]
    assert SearchSettings(**document).differences(now) == []
    assert run.settings.differences(now) == ["space_arguments.states is 1, was None"]


@pytest.mark.parametrize("seed", ["0", None, 1.5, True, -1, 2**32])
def test_what_is_no_seed_is_refused(seed: Any) -> None:
    with pytest.raises(InputError, match=f"seed is {seed!r}; from 0 to 4294967295 are accepted"):
        check_seed(seed)


def test_numbers_of_numpy_are_numbers() -> None:
    assert type(check_seed(np.int64(3))) is int and type(check_count("n", np.int32(2))) is int
    scale = RecurrentSpace.scales["fast"].resized(batch_size=np.int64(4))
    assert scale.batch_size == 4 and type(scale.batch_size) is int
    check_at_least("batch size", np.int64(4), 1)
    for refused in (True, 1.0, np.float64(2), "3"):
        with pytest.raises(InputError, match="accepted is a whole number"):
            check_at_least("batch size", refused, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": "abc"}, "seed is 'abc'; from 0"),
        ({"minibatch_index": "x"}, "minibatch_index is 'x': Input should be a valid integer"),
        ({"split": 3}, "split is 3: Input should be a valid string"),
        ({"metrics": []}, "no objective was given"),
        ({"max_latency": "5MB"}, "max_latency is '5MB'"),
    ],
)
def test_what_a_search_cannot_use_is_said_in_words_of_ours(
    hunt: Any, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        hunt(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_a_device_and_files_may_be_given_as_python_has_them(hunt: Any, tmp_path: Path) -> None:
    file = tmp_path / "given_once.py"
    file.write_text(
        "import archscout\n"
        "@archscout.metric(needs={'hidden_states'}, larger_is_better=True)\n"
        "def given_once(trace):\n"
        "    return trace.hidden_states[0].max().item()\n"
    )
    asked = {"device": torch.device("cpu"), "metrics": "given_once", "trials": 1}
    run = hunt(tmp_path / "run", **asked, metric_files=(path for path in [file]))
    assert run.settings.metric_files == [str(file)] and len(run.settings.metric_sha256) == 1
    assert hunt(tmp_path / "one", **asked, metric_files=file).settings.metric_files == [str(file)]


def test_a_run_that_did_not_keep_the_spaces_arguments_goes_on_twice(
    hunt: Any, tmp_path: Path
) -> None:
    run = hunt(tmp_path / "run", trials=1)
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    del document["settings"]["space_arguments"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(document))
    now = run.settings.model_copy(update={"space_arguments": {"states": 1}})
    for trials in (2, 3):
        again = Run(tmp_path / "run")
        assert again.settings.differences(now) == []
        again.expect(trials)


def test_optuna_says_as_much_as_before(hunt: Any, tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.INFO)
    _ = hunt(tmp_path / "run", trials=1).trials
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
