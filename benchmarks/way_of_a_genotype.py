"""How many files does one genotype cross on its way through a search's evaluation, and how often?

Evaluates a few genotypes first, so that nothing is imported or made for the first time, and then
counts, by `sys.setprofile`, in which files of archscout functions run while one more is evaluated
by the default metric, and how often the next function runs in another file than the one before.

    python benchmarks/way_of_a_genotype.py [--space rnn] [--architecture lstm]
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import torch

import archscout
from archscout.runs.evaluator import Evaluator
from archscout.runs.search_settings import parse_objectives
from archscout.scoring import Scorer
from archscout.spaces import get

ROOT = Path(archscout.__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="rnn")
    parser.add_argument("--architecture", default="lstm")
    arguments = parser.parse_args()
    space = get(arguments.space)
    objectives = parse_objectives(space.default_metric, space.kind)
    scorer = Scorer(space, metrics=[o.request for o in objectives if o.request])
    evaluator = Evaluator(scorer, scorer.scale, objectives, {"parameters": 1e9})
    named = arguments.architecture in space.named
    genotype = space.canonical(
        space.named[arguments.architecture] if named else space.sample(int(arguments.architecture))
    )
    for seed in (1, 2, 3):
        evaluator.evaluate(space.canonical(space.sample(seed)))
    evaluator.evaluate(genotype)

    calls: Counter[str] = Counter()
    moves = 0
    here = ""

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal here, moves
        path = Path(frame.f_code.co_filename)
        if event != "call" or not path.is_relative_to(ROOT):
            return
        place = str(path.relative_to(ROOT))
        calls[place] += 1
        moves += place != here
        here = place

    torch.set_num_threads(1)  # as in a search
    sys.setprofile(note)
    try:
        evaluator.evaluate(genotype)
    finally:
        sys.setprofile(None)
    print(f"{arguments.space}, {arguments.architecture}: {len(calls)} files, {moves} moves")
    for place, count in calls.most_common():
        print(f"{count:6d} calls  {place}")


if __name__ == "__main__":
    main()
