"""The search beside other ways of spending the budget."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from archscout.comparison import Standing, compare, load_proof
from archscout.comparison.proof import PROOF
from archscout.errors import InputError
from proofs import found, proof


def by_name(**losses: tuple[float | None, ...]) -> dict[str, Standing]:
    return {each.strategy: each for each in compare(proof(dict(losses)))}


def test_means_and_wins_are_counted_seed_by_seed() -> None:
    standings = by_name(search=(5.0, 5.1, 5.2), random=(5.5, 5.0, 5.205))
    ours, theirs = standings["search"], standings["random"]
    assert (ours.won, ours.equal) == (None, None)
    assert ours.mean == pytest.approx(5.1)
    assert (theirs.won, theirs.equal, theirs.failed) == (2, 1, 0)


def test_what_found_nothing_is_worse_than_whatever_was_found() -> None:
    standings = by_name(search=(5.0, None, None), random=(None, 5.0, None))
    assert standings["random"].won == 1
    assert standings["random"].equal == 1  # neither found anything
    assert standings["random"].failed == standings["search"].failed == 2
    assert standings["random"].mean == 5.0
    assert by_name(search=(None,), random=(None,))["search"].mean is None


def test_a_named_one_may_be_missing_from_a_seed() -> None:
    """Where its score is not finite, or a limit leaves it out."""
    made = proof()
    short = made.model_copy(update={"found": made.found[:-1]})
    lstm = compare(short)[-1]
    assert lstm.strategy == "lstm" and lstm.won == 1 and lstm.cost == 1.0


def test_a_proof_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert load_proof(tmp_path) is None
    made = proof({"search": (5.0,), "random": (None,)})
    (tmp_path / PROOF).write_text(json.dumps({"format": 1, **made.model_dump()}))
    assert load_proof(tmp_path) == made
    assert made.loss(found("random", 0, None)) is None
    assert made.result(5.0) == pytest.approx(math.exp(5.0))
    (tmp_path / PROOF).write_text('{"format": 1, "budget": "much"}')
    with pytest.raises(InputError, match=r"proof\.json is damaged: budget"):
        load_proof(tmp_path)
