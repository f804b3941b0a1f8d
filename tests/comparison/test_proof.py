"""trained.json, and what a training is judged by."""

import json
from pathlib import Path

import pytest

from archscout.comparison import load_proof, to_document
from archscout.comparison.proof import TRAINED
from archscout.errors import InputError
from archscout.training import find_trainer, preset
from proofs import proof


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = proof(top=[5.0, None])
    (tmp_path / TRAINED).write_text(json.dumps(to_document(made)))
    assert load_proof(tmp_path) == made
    assert load_proof(tmp_path / "elsewhere") is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nonsense", "is damaged"),
        ("[]", "is damaged"),
        ("{}", "is damaged: 'format'"),
        ('{"format": 2}', "is of format 2; accepted is 1"),
        ('{"format": 1, "asked": 3}', "is damaged: proposals"),
    ],
)
def test_a_damaged_file_is_named(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / TRAINED).write_text(text)
    with pytest.raises(InputError, match=complaint) as caught:
        load_proof(tmp_path)
    assert TRAINED in str(caught.value)


def test_the_winner_has_the_lowest_validation_loss() -> None:
    winner = proof(top=[5.0, None], random=[4.9]).winner
    assert winner is not None and winner.rank == 11
    assert proof(top=[None], random=[None]).winner is None


def test_cells_are_judged_by_perplexity_and_encoders_by_what_they_are_trained_for() -> None:
    cells = preset("quick", "rnn").model_dump()
    replaced = preset("quick", "flexibert").model_dump()
    masked = replaced | {"task": "masked"}
    stored = preset("quick", "flexibert").resized(task="masked").model_dump(by_alias=True)
    language_models, encoders = find_trainer("rnn"), find_trainer("flexibert")
    assert language_models.measure(cells) == ("perplexity", True)
    for settings in (masked, stored):
        assert encoders.measure(settings) == ("perplexity of masked tokens", True)
    assert encoders.measure(replaced) == ("pretraining loss", False)
    assert language_models.loss({"nats": 2.0}, cells) == 2.0
    assert encoders.loss({"nats": 2.0}, masked) == 2.0
    assert encoders.loss({"nats": 2.0, "detection_nats": 0.1}, replaced) == pytest.approx(7.0)


def test_a_perplexity_is_the_exponential_of_a_loss() -> None:
    assert proof().result(0.0) == 1.0
    assert proof().result(1e4) == float("inf")
    assert proof(measure="pretraining loss").result(3.5) == 3.5
