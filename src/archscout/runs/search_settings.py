"""The settings of a search, as given and as kept in run.json."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from archscout import spaces
from archscout.errors import InputError, validated
from archscout.metrics import load_file
from archscout.metrics.formula import PREFIX
from archscout.metrics.registry import Request, request
from archscout.recording import Kind
from archscout.runs.costs import COSTS, check
from archscout.scoring import (
    ScoringSettings,
    check_count,
    check_seed,
    resolve_objective,
    resolve_scale,
)
from archscout.spaces.base import Scale, Space
from archscout.text import Corpus

SAMPLERS = ("nsga2", "random", "tpe")
_TPE_START = 10  # proposals that Optuna's sampler draws at random
Direction = Literal["maximize", "minimize"]

_COUNTS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
# By what a cost is counted in; of others there are so many.
_UNITS: Mapping[str, Mapping[str, float]] = {
    "ms": {"": 1.0, "MS": 1.0, "S": 1e3},
    "bytes": {**_COUNTS, "B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9},
}


@dataclasses.dataclass(frozen=True)
class Objective:
    """What a search improves: a metric or a cost, and which way is better.

    Attributes:
        name: as given, without the direction.
        direction: of improvement.
        request: the metric; None for a cost.
    """

    name: str
    direction: Direction
    request: Request | None

    @property
    def sign(self) -> int:
        """1 where larger is better, -1 where smaller is."""
        return 1 if self.direction == "maximize" else -1


def parse_objective(text: str, kind: Kind = "other") -> Objective:
    """An objective from `hidden_covariance`, `latency`, or with a direction, `parameters:max`.

    Costs are minimised and metrics taken in their own direction unless `:min` or `:max` says
    otherwise. `parameters` as an objective is the cost.

    Args:
        text: the objective.
        kind: of the space's networks.

    Raises:
        InputError: an unknown metric or direction.
    """
    prefix = PREFIX if text.strip().startswith(PREFIX) else ""
    name, colon, way = text.strip().removeprefix(prefix).partition(":")
    name = prefix + name
    if colon and way not in ("min", "max"):
        raise InputError(f"objective {text!r}: direction {way!r}; accepted: min, max")
    asked = None if name in COSTS else request(name, kind).main()
    larger = bool(asked and asked.metric.larger_is_better)
    if colon:
        larger = way == "max"
    return Objective(name, "maximize" if larger else "minimize", asked)


def parse_limit(name: str, value: str | float) -> float:
    """An upper limit of a cost from a number or a text such as `10M`, `50MB`, `5ms`.

    Raises:
        InputError: it is no positive number, or its unit is not the cost's.
    """
    units = _UNITS.get(COSTS[name].unit, _COUNTS)
    match = re.fullmatch(r"\s*([-+.\deE]*[\d.])\s*([A-Za-z]*)\s*", str(value))
    try:
        number = float(match[1]) * units[match[2].upper()] if match else None
    except (KeyError, ValueError):
        number = None
    if number is None or not 0 < number < float("inf"):
        raise InputError(
            f"max_{name} is {value!r}; a positive number is accepted, such as 10e6"
            + ("" if COSTS[name].is_timed else ", 10M")
            + (f" or {COSTS[name].limit}" if COSTS[name].limit else "")
        )
    return number


class SearchSettings(BaseModel):
    """Everything that decides a search's result.

    Attributes:
        space: name of the space.
        space_arguments: what it is made with, where that is not as usual.
        text: from where the corpus is loaded: its name, or absolute paths.
        objectives: as given, such as `hidden_covariance` or `parameters:min`.
        metric_files: files of Python that define metrics (paths absolute).
        metric_sha256: of these; of runs that were begun before it was kept, none.
        limits: cost to upper limit.
        trials: number of proposals.
        seed: of proposals, weights and noise.
        sampler: `nsga2`, `random` or `tpe`.
        population_size: of NSGA-II.
        scale: sizes at which networks are scored.
        model_scale: sizes at which costs are taken and the winner is built.
        split: of the corpus, None for the default.
        vocabulary_size: of the vocabulary.
        minibatch_index: which minibatch of the text.
        device: where networks are scored.
        latency_on: the custom resource of Ray on whose nodes latency is measured; None is here.
        include: architectures that the search starts from, too, as JSON, by what they are called.
        objective: what gradients are taken of.
        tokenizer: of encoders, where it was not trained on the text.
    """

    model_config = ConfigDict(frozen=True)

    space: str
    text: list[str]
    objectives: list[str]
    metric_files: list[str] = []
    metric_sha256: list[str] = []
    limits: dict[str, float]
    trials: int
    seed: int
    sampler: Literal["nsga2", "random", "tpe"]
    population_size: int
    scale: dict[str, Any]
    model_scale: dict[str, Any]
    split: str | None
    vocabulary_size: int | None = Field(
        validation_alias=AliasChoices("vocabulary_size", "vocabulary_limit")
    )
    minibatch_index: int
    device: str
    objective: Literal["sum", "cotangent", "loss"] = "sum"
    tokenizer: str | None = None
    latency_on: str | None = None
    space_arguments: dict[str, Any] = {}
    include: dict[str, Any] = {}

    @classmethod
    def of(
        cls,
        space: Space[Any],
        corpus: Corpus,
        objectives: str | Iterable[str] | None,
        limits: Mapping[str, float | str | None],
        scale: str | Scale | None,
        model_scale: str | Scale | None,
        objective: str | None,
        tokenizer: str | None,
        include: Mapping[str, Any],
        **others: Any,
    ) -> SearchSettings:
        """The settings of a search, from what users give.

        Args:
            space: of the architectures.
            corpus: the text.
            objectives: names; the space's default metric if None.
            limits: cost to upper limit, as `parse_limit` takes it, or None.
            scale: at which networks are scored.
            model_scale: at which costs are taken; as `scale` if None.
            objective: what gradients are taken of.
            tokenizer: of encoders.
            include: architectures by what they are called.
            **others: the fields of their names.

        Raises:
            InputError: one of them cannot be used.
        """
        check_count("trials", others["trials"])
        check_count("population_size", others["population_size"], 2)
        if others["sampler"] not in SAMPLERS:
            raise InputError(
                f"unknown sampler {others['sampler']!r}; accepted: {', '.join(SAMPLERS)}"
            )
        wanted = space.default_metric if objectives is None else objectives
        improved = parse_objectives(wanted, space.kind)
        bounds = {k: parse_limit(k, v) for k, v in limits.items() if v is not None}
        check(space, [*bounds, *(o.name for o in improved if o.request is None)])
        scored_at = resolve_scale(space, scale)
        others |= {"seed": check_seed(others["seed"])}
        return validated(
            cls,
            space=space.name,
            space_arguments=getattr(space, "arguments", {}),
            text=list(corpus.places),
            objectives=[f"{o.name}:{o.direction[:3]}" for o in improved],
            limits=bounds,
            scale=vars(scored_at),
            model_scale=vars(resolve_scale(space, model_scale) if model_scale else scored_at),
            objective=resolve_objective(objective, space.kind),
            tokenizer=_absolute(tokenizer) if tokenizer else None,
            include=_as_proposed(space, include),
            **others,
        )

    @property
    def included(self) -> dict[str, str]:
        """What the architectures that it starts from are called, by fingerprint."""
        space = spaces.get(self.space)
        return {
            space.fingerprint(spaces.live(space, space.parse(document))): name
            for name, document in reversed(self.include.items())
        }

    @property
    def random_proposals(self) -> int:
        """How many proposals are drawn before the sampler has seen a score."""
        starts: dict[str, int] = {"nsga2": self.population_size, "tpe": _TPE_START}
        return starts.get(self.sampler, self.trials)

    @property
    def scoring(self) -> ScoringSettings:
        """How networks are scored; of a metric with layers, its main one is what counts."""
        kind = spaces.get(self.space).kind
        requests = [o.request for o in parse_objectives(self.objectives, kind) if o.request]
        shared = set(ScoringSettings.model_fields) & set(type(self).model_fields)
        return ScoringSettings(
            **{name: getattr(self, name) for name in shared},
            metrics=tuple(request.column for request in requests) or ("parameters",),
            seeds=(self.seed,),
            minibatches=(self.minibatch_index,),
        )

    def differences(self, other: SearchSettings) -> list[str]:
        """Which settings differ so that one run cannot go on as the other."""
        ours, theirs = (
            _flat(
                each.model_dump()
                | {"include": {name: mark for mark, name in each.included.items()}}
            )
            for each in (self, other)
        )
        may_differ = {"trials"} if self.metric_sha256 else {"trials", "metric_sha256"}
        if "space_arguments" not in self.model_fields_set:  # of a run from before they were kept
            may_differ |= {f"space_arguments.{name}" for name in other.space_arguments}
        return [
            f"{name} is {theirs.get(name)!r}, was {ours.get(name)!r}"
            for name in ours | theirs
            if name not in may_differ and ours.get(name) != theirs.get(name)
        ]


def _as_proposed(space: Space[Any], include: Mapping[str, Any]) -> dict[str, Any]:
    """Architectures as JSON; each must have genes, for a search proposes by genes."""
    called = {name: mark for mark, name in spaces.names(space).items()}
    found = {name: space.parse(architecture) for name, architecture in include.items()}
    for name, architecture in found.items():
        mark = space.fingerprint(spaces.live(space, architecture))
        if called.get(name, mark) != mark and mark not in called.values():
            raise InputError(
                f"{name} cannot be included under this name: it is that of {called[name]}, and "
                f"this is {mark}"
            )
        if spaces.genes(space, architecture) is None:
            raise InputError(
                f"{name} cannot be included: no genes of {space.name!r} give it, and a search "
                "proposes architectures by their genes"
            )
    return {name: space.to_dict(architecture) for name, architecture in found.items()}


def _absolute(place: str | os.PathLike[str]) -> str:
    """A path as it is known from everywhere; a name as it is."""
    return os.path.abspath(place) if os.path.exists(place) else os.fspath(place)


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with an entry for each part of a mapping, such as `scale.batch_size`."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{part}": inner for part, inner in value.items()}
        else:
            flat[name] = value
    return flat


def load_metrics(
    files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> list[str]:
    """Register what files of Python, or one, define with `archscout.metric`; the absolute paths.

    Raises:
        InputError: one cannot be read or run.
    """
    given = [files] if isinstance(files, str | os.PathLike) else files
    paths = [os.path.abspath(file) for file in given]
    for path in paths:
        load_file(path)
    return paths


def parse_objectives(names: str | Iterable[str], kind: Kind = "other") -> list[Objective]:
    """Objectives from their names, comma-separated or apart.

    Args:
        names: the objectives.
        kind: of the space's networks.

    Raises:
        InputError: none was given, one stands twice, or one is unknown.
    """
    given = names.split(",") if isinstance(names, str) else [n for t in names for n in t.split(",")]
    objectives = [parse_objective(name, kind) for name in given if name.strip()]
    if not objectives:
        raise InputError("no objective was given; name a metric, such as hidden_covariance")
    seen = [objective.name for objective in objectives]
    if len(set(seen)) < len(seen):
        raise InputError(f"objectives {', '.join(seen)}: each may stand once")
    return objectives
