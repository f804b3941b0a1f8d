"""What is known of candidates before any is trained: scores, size, and what they are made of."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from archscout.errors import InputError
from archscout.execution import Cluster, Workers
from archscout.files import write_json
from archscout.folders import read_json
from archscout.metrics import request
from archscout.promotion.entrants import voices
from archscout.runs import Run
from archscout.scoring import Scorer
from archscout.spaces import Space
from archscout.threads import one_thread

SCORES = "other_scores.json"
_WRITTEN_EVERY = 20.0  # seconds


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of a run's table that may be trained, best first."""
    return table[table["front"].notna()] if len(table) else table


def order_of(run: Run, features: pd.DataFrame) -> list[str]:
    """Fingerprints in the order in which they enter: named ones, then voices in turn.

    The other voice is the space's first other metric, or a random draw from the best third, which
    follows from the run's seed.
    """
    # What was bred later, from what trained well, enters by what was learned, see `breeding`.
    rows = ranked(run.proposed)
    best = rows["fingerprint"].tolist()
    bred = set(rows[rows["trial"] >= run.settings.random_proposals]["fingerprint"])
    drawn = sorted(best, key=lambda mark: place_in_draw(run.settings.seed, mark))
    others = _opinions(run)
    other = features[others[0]] if others else None
    return voices(best, drawn, other, run.names, bred)


def features_of(run: Run, table: pd.DataFrame, workers: int | Cluster) -> pd.DataFrame:
    """Of every candidate that may be trained, by fingerprint, more of each being better.

    The first column is the ranking; then come the space's other metrics, scored here and kept in
    the run folder, the number of parameters and the space's traits (of which more need not be
    better).

    Args:
        run: of the candidates.
        table: the run's, with what was bred, or of what was proposed alone.
        workers: processes, or a cluster, that score.

    Raises:
        InputError: the run's text is another now, or as of `with_traits`.
    """
    rows = ranked(table)
    found = pd.DataFrame({"rank": -rows["rank"].to_numpy(dtype=float)}, index=rows["fingerprint"])
    if others := _opinions(run):
        scores = _scores(run, rows, others, workers)
        for name in others:
            values = np.array([scores[mark].get(name) for mark in found.index], dtype=float)
            larger = request(name, run.space.kind).metric.larger_is_better
            found[name] = np.where(np.isfinite(values), values if larger else -values, -np.inf)
    found["parameters"] = rows["parameters"].to_numpy(dtype=float)
    architectures = (run.space.parse(json.loads(each)) for each in rows["architecture"])
    return with_traits(found, run.space, architectures, run.model_scale)


def with_traits(
    features: pd.DataFrame, space: Space[Any], architectures: Iterable[Any], scale: Any
) -> pd.DataFrame:
    """Features (n, F) of architectures, and what they are made of, as far as the space tells it.

    Raises:
        InputError: a trait is no number, or has the name of another feature.
    """
    if (traits := getattr(space, "traits", None)) is None:
        return features
    told = [traits(each, scale) for each in architectures]
    try:
        found = pd.DataFrame(told, index=features.index, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"space {space.name!r} has traits such as {told[0]}; numbers by name are accepted"
        ) from error
    if taken := found.columns.intersection(features.columns).tolist():
        raise InputError(
            f"space {space.name!r} has a trait {taken[0]!r}, which is the name of another feature; "
            f"taken are {', '.join(map(str, features))}"
        )
    return features.join(found)


def place_in_draw(seed: int, fingerprint: Any) -> str:
    """By this candidates are in a random order that more of them do not change."""
    return hashlib.blake2b(f"{seed}/{fingerprint}".encode(), digest_size=8).hexdigest()


def _opinions(run: Run) -> list[str]:
    """The space's other metrics, without those that the run improves anyway."""
    taken = {objective.name for objective in run.objectives}
    return [name for name in getattr(run.space, "other_metrics", ()) if name not in taken]


def _scores(
    run: Run, rows: pd.DataFrame, metrics: list[str], workers: int | Cluster
) -> dict[str, dict[str, float | None]]:
    """Scores by fingerprint; those of an earlier call are read, so that a run stays the same."""
    path = run.folder.path / SCORES
    kept = read_json(path, dict[str, Any], {})
    if kept.get("metrics") != metrics or not isinstance(kept.get("scores"), dict):
        kept = {"metrics": metrics, "scores": {}}
    scores: dict[str, dict[str, float | None]] = kept["scores"]
    waiting = rows[~rows["fingerprint"].isin(scores)]
    if not len(waiting):
        return scores
    scorer = Scorer.of(run.settings.scoring, run.load_text(), metrics, run.space)
    written = time.monotonic()
    try:
        with one_thread(), Workers(scorer, workers, len(waiting)) as pool:
            found = pool.map(_score, waiting["architecture"].tolist(), _lost)
            for mark, score in zip(waiting["fingerprint"], found, strict=True):
                scores[mark] = score
                if time.monotonic() - written > _WRITTEN_EVERY:
                    write_json(path, kept)
                    written = time.monotonic()
    finally:
        write_json(path, kept)
    return scores


def _score(scorer: Scorer, architecture: str) -> dict[str, float | None]:
    scored = scorer.score(scorer.space.parse(json.loads(architecture)))
    scores: dict[str, float | None] = scored.to_dict()["scores"]
    return scores


def _lost(architecture: str, reason: str) -> dict[str, float | None]:
    """Of a candidate at which worker processes died, nothing is known."""
    return {}
