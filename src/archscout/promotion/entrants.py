"""Which candidates of a run are trained at all, and who first.

Named architectures come first. Then the best by score and random ones of the best third take turns:
scores rank whole pools well but misplace single networks, so the very best by score are not trusted
alone.
"""

from __future__ import annotations

from itertools import chain, zip_longest

from archscout.comparison import place_in_draw
from archscout.errors import InputError
from archscout.runs import Run
from archscout.spaces import names

_DRAWN_FROM = 3  # the best of so many parts


def entrants(run: Run) -> list[str]:
    """Fingerprints of the architectures that may be trained, in the order in which they enter.

    The order follows from the run's seed and its ranking.

    Raises:
        InputError: the run has no architecture within the limits with a finite score.
    """
    table = run.table
    ranked = table[table["front"].notna()]["fingerprint"].tolist() if len(table) else []
    if not ranked:
        raise InputError(
            f"{run.folder} has no architecture within the limits with a finite score to train"
        )
    named = names(run.space)
    best = ranked[: -(-len(ranked) // _DRAWN_FROM)]
    drawn = sorted(best, key=lambda mark: place_in_draw(run.settings.seed, mark))
    first = (mark for mark in ranked if mark in named)
    others = (mark for pair in zip_longest(ranked, drawn) for mark in pair if mark is not None)
    return list(dict.fromkeys(chain(first, others)))
