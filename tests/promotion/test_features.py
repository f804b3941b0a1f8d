"""What is known of candidates before any is trained."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from archscout.errors import InputError
from archscout.promotion.entrants import predict
from archscout.promotion.features import SCORES, features_of, order_of
from archscout.runs import Run, search
from archscout.spaces import FlexibertSpace, RecurrentSpace

SPACE = RecurrentSpace()


def test_named_cells_enter_first_and_then_voices_in_turn(run: Run) -> None:
    features = features_of(run, run.table, 1)
    order = order_of(run, features)
    ranked = list(run.table.loc[run.table["front"].notna(), "fingerprint"])
    named = {SPACE.fingerprint(cell) for cell in SPACE.named.values()}
    assert set(order[:3]) == named and set(order) == set(ranked)
    trials = run.table.set_index("fingerprint")["trial"]
    rest = [mark for mark in ranked if mark not in named]
    drawn = next(mark for mark in rest if trials[mark] < run.settings.population_size)
    best = next(mark for mark in rest if mark != drawn)
    other = SPACE.other_metrics[0]
    left = [mark for mark in rest if mark not in (drawn, best)]
    heard = max(left, key=lambda mark: float(features.loc[mark, other]))
    assert order[3:6] == [drawn, best, heard] and len(order) == len(set(order))


def test_scores_of_other_metrics_are_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = features_of(run, run.table, 1)
    assert list(found) == ["rank", *SPACE.other_metrics[:2], "parameters"]  # the run has the third
    (run.folder.path / "model").mkdir(exist_ok=True)
    monkeypatch.setattr("archscout.promotion.features.Scorer", None)  # scores nothing again
    assert features_of(run, run.table, 1).equals(found)
    kept = json.loads((run.folder.path / SCORES).read_text())
    mark = found.index[0]
    assert kept["scores"][mark]["token_sensitivity"] == found.loc[mark, "token_sensitivity"]


def test_what_encoders_are_made_of_is_known_and_learned_from(words: Path, tmp_path: Path) -> None:
    scale = FlexibertSpace.scales["fast"].resized(batch_size=2, sequence_length=8, embedding_size=8)
    run = search("flexibert", words, "parameters:max", trials=12, scale=scale, out=tmp_path / "run")
    features = features_of(run, run.table, 1)
    traits = ["self_attention_layers", "linear_transform_layers", "convolution_layers"]
    assert list(features) == ["rank", "parameters", *traits]
    tiny = features.loc[run.space.fingerprint(run.space.named["bert-tiny"])]
    assert tiny[traits].tolist() == [1, 0, 0]
    # Those with most convolutions train best: of equal rank and size more of them is better.
    convolved = features["convolution_layers"]
    losses = dict(1 - convolved)
    alike = features.assign(rank=0.0, parameters=0.0)
    predicted = pd.Series(predict(alike, losses))
    assert predicted[convolved == convolved.max()].min() > predicted[convolved == 0].max()


@pytest.mark.parametrize(
    ("traits", "message"),
    [
        ({"depth": 2.0, "parameters": 1.0}, "a trait 'parameters', .*; taken are rank, .*parame"),
        ({"depth": "deep"}, r"traits such as \{'depth': 'deep'\}; numbers by name"),
        ({"depth": [1, 2]}, "numbers by name are accepted"),
    ],
)
def test_traits_are_numbers_with_names_of_their_own(
    run: Run, monkeypatch: pytest.MonkeyPatch, traits: dict[str, object], message: str
) -> None:
    monkeypatch.setattr(RecurrentSpace, "traits", lambda *_: traits, raising=False)
    with pytest.raises(InputError, match=message):
        features_of(run, run.table, 1)
