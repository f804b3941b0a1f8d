"""Whole trainings: their end, their interruption, and what can go wrong."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from archscout.errors import InputError
from archscout.spaces import RecurrentSpace
from archscout.text import EOS, load_corpus
from archscout.training import (
    Diverged,
    Loss,
    Progress,
    Trained,
    TrainingFolder,
    TrainingSettings,
    evaluate,
    find_trainer,
    train,
)
from archscout.training.checkpoints import Damaged, read_checkpoint
from archscout.training.parts import splits
from archscout.training.recurrent import language_model_loop as loop_module
from archscout.training.recurrent.columns import columns
from archscout.training.schedule import rate_factor
from training_runs import (
    SCALE,
    SETTINGS,
    Killed,
    TrainSmall,
    assert_same,
    at,
    last_checkpoint,
    weights,
)

EVERY_STEP = {"checkpoint_minutes": 0.0}


# The result


def test_training_learns_and_writes_its_folder(train_small: TrainSmall, words: Path) -> None:
    trained = train_small(
        epochs=10, learning_rate=3e-2, input_dropout=0.0, output_dropout=0.0, weight_drop=0.0
    )
    uniform = len(trained.vocabulary)
    assert trained.losses["valid"].perplexity < 0.8 * uniform
    assert trained.losses["test"].perplexity < 0.8 * uniform
    assert len(trained.records) == 10 and trained.ended == "epochs"
    folder = trained.folder.path
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 11))
    assert lines[-1]["valid_perplexity"] == math.exp(lines[-1]["valid_loss"])
    result = json.loads((folder / "result.json").read_text())
    assert result == trained.to_dict()
    assert result["losses"]["valid"]["nats"] == lines[trained.best_epoch - 1]["valid_loss"]
    assert len(trained.folder.checkpoints.paths()) == 2
    assert not list(folder.rglob("*.part"))


def test_bits_per_byte_are_those_of_the_text(train_small: TrainSmall, words: Path) -> None:
    trained = train_small(epochs=1)
    tokens = load_corpus(words).tokens()
    tenth = len(tokens) // 10
    rows = tenth // SETTINGS.evaluation_batch_size
    held_out = columns(torch.arange(tenth), SETTINGS.evaluation_batch_size, "valid")
    # What is predicted: all that is read but for the first token of each column.
    text, predicted = tokens[-tenth:], held_out[1:].t().flatten().tolist()
    written = 0
    for i in predicted:
        before = text[i - 1]
        written += 1 if text[i] == EOS else len(text[i].encode()) + (before != EOS)
    loss = trained.losses["valid"]
    assert (loss.tokens, loss.bytes) == (len(predicted), written)
    assert loss.tokens == (rows - 1) * SETTINGS.evaluation_batch_size
    bits = loss.nats / math.log(2) * loss.tokens / written
    assert loss.bits_per_byte == pytest.approx(bits)
    assert trained.to_dict()["losses"]["valid"]["bits_per_byte"] == pytest.approx(bits)
    assert trained.records[-1].valid_bits_per_byte == pytest.approx(bits)
    assert find_trainer("rnn").summarise(trained).rows[0][-1] == f"{bits:.4f}"


def test_unknown_words_are_no_code_of_the_text(words: Path, tmp_path: Path) -> None:
    settings = SETTINGS.resized(epochs=1)
    trained = train("rnn", "gru", words, settings, tmp_path, scale=SCALE, vocabulary_size=8)
    loss = trained.losses["valid"]
    assert loss.bytes is None and loss.bits_per_byte is None
    assert trained.records[-1].valid_bits_per_byte is None
    assert find_trainer("rnn").summarise(trained).rows[0][-1] == "–"
    readme = (tmp_path / "model" / "README.md").read_text()
    assert "validation perplexity" in readme and "bits per byte" not in readme


def test_the_model_has_the_weights_of_the_best_epoch(train_small: TrainSmall, words: Path) -> None:
    trained = train_small(epochs=4, learning_rate=0.3, clip=10.0)  # too much, on purpose
    losses = [record.valid_loss for record in trained.records]
    assert trained.best_epoch == losses.index(min(losses)) + 1
    corpus = load_corpus(words)
    text = columns(splits(corpus, trained.vocabulary.encode)["valid"], 3, "valid")
    assert evaluate(trained.model, text).nats == pytest.approx(min(losses), rel=1e-5)


def test_evaluation_predicts_every_token_but_the_first(train_small: TrainSmall) -> None:
    model = train_small(epochs=1).model.eval()
    text = torch.randint(20, (23, 2), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits, _ = model(text[:-1])
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), text[1:].flatten())
    for length in (5, 22, 70):
        loss = evaluate(model, text, length)
        assert loss.nats == pytest.approx(float(expected), rel=1e-5) and loss.tokens == 44


def test_loss_in_other_units() -> None:
    loss = Loss(math.log(8), 10)
    assert loss.perplexity == pytest.approx(8) and loss.bits == pytest.approx(3)
    assert Loss(1e4, 1).perplexity == math.inf


def test_early_stopping(train_small: TrainSmall, monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([3.0, 2.0, 2.5, 2.0, 2.0, 2.0])  # two for the parts, at the end
    monkeypatch.setattr(loop_module, "evaluate", lambda *_: Loss(next(found), 1))
    trained = train_small(epochs=9, patience=2)
    assert (len(trained.records), trained.best_epoch, trained.ended) == (4, 2, "patience")


def test_time_budget(train_small: TrainSmall) -> None:
    trained = train_small(epochs=1000, minutes=0.01)
    assert trained.ended == "minutes"
    assert 0.6 <= trained.records[-1].seconds < 10
    assert len(trained.records) < 1000


def test_events_for_tensorboard(train_small: TrainSmall) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trained = train_small()
    events = accumulator.EventAccumulator(str(trained.folder.path / "events"))
    events.Reload()
    values = [event.value for event in events.Scalars("loss/valid")]
    assert values == pytest.approx([record.valid_loss for record in trained.records], rel=1e-6)


@pytest.mark.parametrize("changes", [{}, {"schedule": "cosine", "warm_up": 0.2}])
def test_learning_rate_schedule(changes: dict[str, Any]) -> None:
    settings = SETTINGS.resized(**changes)
    factors = [rate_factor(settings, i / 10) for i in range(11)]
    if changes:
        assert factors[:3] == pytest.approx([0.01, 0.505, 1.0])
        assert factors[6] == pytest.approx(0.505) and factors[10] == pytest.approx(0.01)
    else:
        assert factors == [1.0] * 11


def test_users_random_numbers_are_left_alone(train_small: TrainSmall) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train_small(epochs=1)
    assert torch.equal(before, torch.get_rng_state())


# Going on


@pytest.mark.parametrize("step", [1, 5, 9, 17])
def test_resumed_equals_uninterrupted(
    train_small: TrainSmall, whole_small: TrainSmall, step: int
) -> None:
    whole = whole_small(schedule="cosine", warm_up=0.1)
    with pytest.raises(Killed):
        train_small(
            "cut", callbacks=at(step, Killed()), schedule="cosine", warm_up=0.1, **EVERY_STEP
        )
    resumed = train_small("cut", resume=True, schedule="cosine", warm_up=0.1)
    assert_same(weights(whole), weights(resumed))
    assert_same(
        read_checkpoint(last_checkpoint(whole.folder.path)).tensors,
        read_checkpoint(last_checkpoint(resumed.folder.path)).tensors,
    )
    assert resumed.losses == whole.losses
    assert [r.train_loss for r in resumed.records] == [r.train_loss for r in whole.records]


KILLED = """
import os, signal, sys
sys.path.insert(0, {here!r})
from training_runs import SCALE, SETTINGS
from archscout.training import train
steps = []
def on_progress(progress):
    steps.append(progress)
    if len(steps) == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
settings = SETTINGS.resized(checkpoint_minutes=0)
train("rnn", "lstm", {text!r}, settings, {out!r}, scale=SCALE, on_progress=on_progress)
"""


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(
    train_small: TrainSmall, whole_small: TrainSmall, words: Path, tmp_path: Path
) -> None:
    here = str(Path(__file__).parents[2])
    code = KILLED.format(here=here, step=12, text=str(words), out=str(tmp_path / "cut"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    whole, resumed = whole_small(), train_small("cut", resume=True)
    assert_same(weights(whole), weights(resumed))
    assert resumed.losses == whole.losses


def test_ctrl_c_stops_with_a_checkpoint(
    train_small: TrainSmall, whole_small: TrainSmall, tmp_path: Path
) -> None:
    steps: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        steps.append(progress)
        if len(steps) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_small("cut", callbacks={"on_progress": on_progress})
    checkpoint = read_checkpoint(last_checkpoint(tmp_path / "cut"))
    assert len(steps) == 4 and checkpoint.state["progress"]["step"] == 4
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed = train_small("cut", resume=True)
    assert_same(weights(resumed), weights(whole_small()))


def test_a_test_part_that_explodes_is_a_divergence(
    train_small: TrainSmall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(_: object) -> None:
        monkeypatch.setattr(loop_module, "evaluate", lambda *_: Loss(800.0, 10))

    monkeypatch.setattr(loop_module.LanguageModelTraining, "_end", end)
    with pytest.raises(Diverged, match="the valid loss of the trained model"):
        train_small()
    result = json.loads((tmp_path / "training" / "result.json").read_text())
    assert result == {"problem": "the valid loss of the trained model is 800.0 nats a token"}


def test_a_finished_training_is_not_trained_again(train_small: TrainSmall) -> None:
    whole = train_small()
    again = train_small(resume=True, callbacks=at(1, AssertionError("trained again")))
    assert again.to_dict() == whole.to_dict()
    assert_same(weights(whole), weights(again))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_checkpoint_falls_back(
    train_small: TrainSmall, whole_small: TrainSmall, tmp_path: Path, damage: str
) -> None:
    whole = whole_small()
    with pytest.raises(Killed):
        train_small("cut", callbacks=at(9, Killed()), **EVERY_STEP)
    path = last_checkpoint(tmp_path / "cut")
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-100] ^= 1
    path.write_bytes(content[: {"truncated": len(content) // 2, "empty": 0}.get(damage)])
    warnings: list[str] = []
    resumed = train_small("cut", resume=True, callbacks={"on_warning": warnings.append})
    assert len(warnings) == 1
    assert str(path) in warnings[0] and "going on from the one before it" in warnings[0]
    assert_same(weights(whole), weights(resumed))


def test_without_a_whole_checkpoint_it_starts_anew(
    train_small: TrainSmall, whole_small: TrainSmall, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train_small(callbacks=at(9, Killed()), **EVERY_STEP)
    for path in TrainingFolder(tmp_path / "training").checkpoints.paths():
        path.write_bytes(b"")
    warnings: list[str] = []
    resumed = train_small(resume=True, callbacks={"on_warning": warnings.append})
    assert "starting from the beginning" in warnings[-1] and len(warnings) == 3
    assert_same(weights(resumed), weights(whole_small()))


# What differs


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"architecture": "gru"}, "another architecture"),
        ({"seed": 1}, "another seed: 0 there, 1 here"),
        ({"learning_rate": 0.5}, "another settings: learning_rate: 0.01 there, 0.5 here"),
    ],
)
def test_another_training_is_refused(
    train_small: TrainSmall, changes: dict[str, Any], named: str
) -> None:
    train_small(epochs=1)
    with pytest.raises(InputError, match=named):
        train_small(resume=True, **{"epochs": 1, **changes})


def test_another_text_is_refused(train_small: TrainSmall, words: Path, tmp_path: Path) -> None:
    train_small(epochs=1)
    other = tmp_path / "words.txt"
    other.write_text(words.read_text().replace("w3", "w4", 1))
    with pytest.raises(InputError, match="another text: sha256"):
        train_small(resume=True, epochs=1, text=other)


@pytest.mark.parametrize(("other", "named"), [("gru", "architecture"), (None, "format")])
def test_a_checkpoint_from_elsewhere_is_refused(
    train_small: TrainSmall,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    other: str | None,
    named: str,
) -> None:
    with pytest.raises(Killed):
        train_small(callbacks=at(3, Killed()), **EVERY_STEP)
    with monkeypatch.context() as patch:
        if other is None:
            patch.setattr("archscout.training.trainer.FORMAT", 0)
        train_small("other", other or "lstm", epochs=3)
    foreign = last_checkpoint(tmp_path / "other")
    os.replace(foreign, tmp_path / "training" / "checkpoints" / foreign.name)
    with pytest.raises(InputError, match=f"the checkpoint in .* is a training of another {named}"):
        train_small(resume=True)


def test_a_folder_in_use_is_refused(train_small: TrainSmall, tmp_path: Path) -> None:
    train_small(epochs=1)
    with pytest.raises(InputError, match="already holds a training; go on with it by --resume"):
        train_small(epochs=1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match=r"is not empty \(letter.txt\) and holds no "):
        train_small("full", epochs=1)


# What goes wrong


def test_divergence_is_recorded(
    train_small: TrainSmall, whole_small: TrainSmall, tmp_path: Path
) -> None:
    whole = whole_small()

    def poison(step: list[int]) -> Any:
        original = loop_module.training_loss

        def loss(*arguments: Any) -> Any:
            objective, entropy, states = original(*arguments)
            step.append(1)
            bad = math.nan if len(step) == 9 else 1.0
            return objective * bad, entropy * bad, states

        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop_module, "training_loss", poison([]))
        with pytest.raises(Diverged, match="diverged in epoch 1, step 9: the loss is nan") as info:
            train_small(**EVERY_STEP)
    path = last_checkpoint(tmp_path / "training")
    assert str(path) in str(info.value)
    assert "a smaller --set learning_rate=X or --set clip=X may help" in str(info.value)
    checkpoint = read_checkpoint(path)
    assert all(bool(t.isfinite().all()) for t in checkpoint.tensors.values())
    result = json.loads((tmp_path / "training" / "result.json").read_text())
    assert "diverged in epoch 1, step 9" in result["problem"]
    assert_same(weights(train_small(resume=True)), weights(whole))


def test_an_infinite_gradient_is_divergence(
    train_small: TrainSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = loop_module.training_loss

    def loss(*arguments: Any) -> Any:
        objective, entropy, states = original(*arguments)
        return objective * 1e38 * 1e5, entropy, states

    monkeypatch.setattr(loop_module, "training_loss", loss)
    with pytest.raises(Diverged, match=r"its gradient is .*\n*there is no checkpoint yet"):
        train_small()


def test_a_full_disk_leaves_the_checkpoint_before(
    train_small: TrainSmall,
    whole_small: TrainSmall,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []
    original = os.fsync

    def fsync(file: int) -> None:
        calls.append(file)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(InputError, match=r"No space left on device\n.* is whole, and --resume"):
            train_small("cut", **EVERY_STEP)
    assert not list((tmp_path / "cut").rglob("*.part"))
    assert_same(weights(train_small("cut", resume=True)), weights(whole_small()))


def test_best_weights_that_are_damaged(train_small: TrainSmall) -> None:
    trained = train_small()
    path = trained.folder.best(trained.best_epoch)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(Damaged):
        read_checkpoint(path)
    with pytest.raises(InputError, match="the weights of the best epoch, is damaged"):
        train_small(resume=True)


def test_a_text_too_small_for_the_batch(train_small: TrainSmall) -> None:
    with pytest.raises(InputError, match="the train text has 528 tokens, and batch size 300 needs"):
        train_small(batch_size=300)
    with pytest.raises(InputError, match="the valid text has 66 tokens, and batch size 40 needs"):
        train_small(evaluation_batch_size=40)


def test_encoders_are_refused(words: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="settings of TrainingSettings; this space takes Pretrain"):
        train("flexibert", "{}", words, SETTINGS, tmp_path / "out")


@pytest.mark.parametrize("name", ["rnn", "gru"])
def test_other_cells_train(train_small: TrainSmall, name: str) -> None:
    trained: Trained = train_small(name, name, epochs=2)
    first, second = trained.records
    assert second.train_loss < first.train_loss


def test_one_process_trains_in_a_folder(train_small: TrainSmall, tmp_path: Path) -> None:
    refused: list[str] = []

    def meanwhile(_: Progress) -> None:
        if not refused:
            with pytest.raises(InputError) as caught:
                train_small("out", resume=True)
            refused.append(str(caught.value))

    train_small("out", callbacks={"on_progress": meanwhile})
    assert refused == [f"another process writes to {tmp_path / 'out'}"]


def test_a_recipe_of_another_class_is_refused(words: Path, tmp_path: Path) -> None:
    class More(TrainingSettings):
        more: float = 0.5

    with pytest.raises(InputError, match="settings of More; this space takes TrainingSettings"):
        train("rnn", "lstm", words, More(), tmp_path / "out")


@pytest.mark.parametrize(("rows", "length"), [(0, 5), (1, 5), (4, 0)])
def test_a_text_of_less_than_two_rows_has_no_loss(rows: int, length: int) -> None:
    space = RecurrentSpace()
    scale = space.scales["fast"].resized(embedding_size=4, hidden_size=4)
    model = space.build(space.named["rnn"], 5, scale)
    with pytest.raises(InputError, match=f"{rows} rows of text, {length} read at a time"):
        evaluate(model, torch.zeros(rows, 2, dtype=torch.long), length)
