"""Making a leaderboard: every benchmark evaluated, its metrics timed and judged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from archscout import metrics as metrics_room
from archscout.analysis.combination import COMBINATIONS, Combination
from archscout.analysis.evaluation import Preparation, prepare
from archscout.analysis.evaluation_folder import EvaluationFolder
from archscout.analysis.leaderboard.at_hand import at_hand, label, scale_of
from archscout.analysis.leaderboard.judging import Round, Rules, judge
from archscout.analysis.leaderboard.standings import BASELINES
from archscout.analysis.leaderboard.timing import milliseconds
from archscout.benchmarks import Benchmark, DataFolder
from archscout.errors import InputError
from archscout.files import write_json
from archscout.folders import claimed
from archscout.recording import Kind
from archscout.scoring import parse_requests

MARK = "leaderboard.json"
"""What tells that a folder holds a leaderboard."""
_EARLIER_MARK = "contest.json"

Progress = Callable[[int, int], None]
Stage = Callable[[str], AbstractContextManager[Progress]]


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Every metric on every benchmark that is at hand.

    Attributes:
        rounds: one a benchmark.
        absent: benchmarks that are not at hand, and why.
        rules: by which was judged.
        folder: where it is stored.
    """

    rounds: Sequence[Round]
    absent: Mapping[str, str]
    rules: Rules
    folder: Path

    @property
    def records(self) -> pd.DataFrame:
        """All standings below one another: `benchmark`, `dataset`, `metric`, and their columns."""
        keys = [(done.benchmark.name, done.benchmark.dataset) for done in self.rounds]
        frames = [done.standings for done in self.rounds]
        return pd.concat(frames, keys=keys, names=["benchmark", "dataset"]).reset_index()

    def overall(self, statistic: str) -> pd.DataFrame:
        """A statistic by metric and benchmark, the best mean first."""
        columns = {label(done.benchmark): done.standings[statistic] for done in self.rounds}
        table = pd.DataFrame(columns)
        order = table.mean(axis=1).sort_values(ascending=False, kind="stable").index
        return table.loc[order].rename_axis("metric")


@contextmanager
def _silent(what: str) -> Iterator[Progress]:
    yield lambda done, total: None


def make_leaderboard(
    *,
    out: str | os.PathLike[str],
    benchmarks: Sequence[Benchmark] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    metrics: Iterable[str] | str | None = None,
    metric_files: Sequence[str | os.PathLike[str]] = (),
    combinations: Mapping[Kind, Sequence[Combination]] = COMBINATIONS,
    rules: Rules | None = None,
    resume: bool = False,
    stage: Stage = _silent,
    **settings: Any,
) -> Leaderboard:
    """Evaluate every benchmark that is at hand, and judge all metrics there.

    Each benchmark has an evaluation of its own in `out`, at the space's default scale; encoders of
    nas-bench-bert are scored in the `trained` reading. What is scored or timed is stored at once.

    Args:
        out: folder of the leaderboard.
        benchmarks: that take part; by default every one that is at hand.
        data_dir: the data folder.
        metrics: names, each scored on the networks it is defined for; every metric by default. The
            size baselines are always among them.
        metric_files: files of Python that define metrics with `archscout.metric`.
        combinations: of metrics, judged beside them where all of their members are scored.
        rules: of judging.
        resume: go on with a leaderboard that `out` holds.
        stage: called with what is being done; gives what is told the progress of it.
        **settings: those of `prepare` that can be the same for every benchmark: text, seeds,
            minibatches, seed, split, vocabulary_size, device, limit, workers.

    Raises:
        InputError: something cannot be used; what was scored is kept.
    """
    rules = rules or Rules()
    folder = DataFolder(data_dir)
    absent: Mapping[str, str] = {}
    if benchmarks is None:
        benchmarks, absent = at_hand(folder)
    for file in metric_files:
        metrics_room.load_file(file)
    names = _names_by_kind(metrics)
    combined = {
        kind: [c for c in combinations.get(kind, ()) if _are_scored(c.members, set(scored))]
        for kind, scored in names.items()
    }
    prepared = [
        prepare(
            benchmark,
            data_dir=data_dir,
            metrics=names[benchmark.space.kind],
            metric_files=metric_files,
            scale=scale_of(benchmark),
            combinations=combined[benchmark.space.kind],
            leave_out=True,
            **settings,
        )
        for benchmark in benchmarks
    ]
    _check_applied(metrics, prepared)
    _check(rules, prepared)
    path = Path(out)
    mark = _EARLIER_MARK if (path / _EARLIER_MARK).exists() else MARK
    with claimed(path, mark, "leaderboard", resume):
        labels = [label(benchmark) for benchmark in benchmarks]
        write_json(path / mark, {"benchmarks": labels, "absent": dict(absent)})
        rounds = [_round(each, path, folder, rules, stage) for each in prepared]
    return Leaderboard(rounds, absent, rules, path)


def _round(
    prepared: Preparation, path: Path, folder: DataFolder, rules: Rules, stage: Stage
) -> Round:
    name = label(prepared.benchmark)
    with stage(f"scoring {name}") as progress:
        begun = EvaluationFolder(path / name).exists
        evaluation = prepared.run(path / name, begun, progress)
    with stage(f"timing {name}") as progress:
        cost = milliseconds(evaluation, folder, rules.timed, progress)
    with stage(f"judging {name}") as progress:
        judged = judge(evaluation, cost, rules)
        progress(1, 1)
    return judged


def _names_by_kind(metrics: Iterable[str] | str | None) -> dict[Kind, list[str]]:
    """The names of metrics that are defined for each kind of networks, and the size baselines."""
    known = {kind: metrics_room.available(kind) for kind in get_args(Kind)}
    if metrics is None:
        return {kind: list(names) for kind, names in known.items()}
    found: dict[Kind, list[str]] = {kind: [] for kind in known}
    for name in metrics.split(",") if isinstance(metrics, str) else metrics:
        complaints = []
        for kind, names in found.items():
            try:
                parse_requests([name], kind)
                names.append(name.strip())
            except InputError as error:
                complaints.append(error)
        if len(complaints) == len(found):
            raise complaints[0]
    for kind, names in found.items():
        names += [name for name in BASELINES if name in known[kind] and name not in names]
    return found


def _check_applied(metrics: Iterable[str] | str | None, prepared: Sequence[Preparation]) -> None:
    """Make sure that every metric that was asked for applies to the networks of a benchmark."""
    for name in metrics.split(",") if isinstance(metrics, str) else metrics or ():
        if not any(each.will_score(name.strip()) for each in prepared):
            raise InputError(f"metric {name.strip()} applies to the networks of no benchmark here")


def _are_scored(members: Iterable[str], scored: set[str]) -> bool:
    return all(name in scored or name.partition("[")[0] in scored for name in members)


def _check(rules: Rules, prepared: Sequence[Preparation]) -> None:
    """Make sure, before hours of scoring, that there will be what to judge and to search by."""
    for each in prepared:
        each.check_comparable()
    for search in rules.searches:
        if not any(each.will_score(search) for each in prepared):
            known = {request.column for each in prepared for request in each.scorer.requests}
            known |= {combined.name for each in prepared for combined in each.combinations}
            raise InputError(
                f"search {search!r} is by no metric that is scored; accepted are "
                f"{', '.join(sorted(known))}, and layers that the networks have"
            )
