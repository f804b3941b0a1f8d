"""Examples of the documentation run."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from archscout.spaces import available
from archscout.training import preset, train, trainers

EXTENDING = Path(__file__).parents[1] / "docs" / "extending.md"


@pytest.mark.slow
def test_a_space_of_ones_own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    section = EXTENDING.read_text("utf-8").partition("## A space of one's own modules\n")[2]
    space, search, loss = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, Any] = {}
    exec(space, names)
    for long, short in ("trials=20", "trials=3"), ("budget=2", "budget=1"), ("=200", "=18"):
        search = search.replace(long, short)
    exec(search, names)
    winner = names["promotion"].winner
    assert winner.problem is None and winner.results["test"] < 1000
    assert names["model"].config.vocab_size == 1000
    exec(loss, names)
    (text := tmp_path / "part.txt").write_text("the cat sat on the mat\n" * 400, "utf-8")
    settings = preset("quick", names["space"]).resized(steps=2, batch_size=4)
    best = names["run"].best.architecture
    trained = train(names["space"], best, text, settings, "own", vocabulary_size=500)
    valid = trained.losses["valid"]
    assert valid.nats < math.log(500) and trained.records[0].train_loss > valid.nats
    del trainers()["small-gpt2"]
    del available()["small-gpt2"]
