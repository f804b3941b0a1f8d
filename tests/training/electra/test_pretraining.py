"""Whole pretrainings: their end, their interruption, and what can go wrong."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from archscout.errors import InputError
from archscout.spaces import FlexibertSpace
from archscout.text import WordPiece, load_corpus
from archscout.training import (
    Diverged,
    EvaluationRecord,
    PretrainingLoss,
    PretrainingProgress,
    StreamedText,
    train,
)
from archscout.training.checkpoints import read_checkpoint
from archscout.training.electra import pretraining_loop as loop_module
from archscout.training.electra.evaluation import evaluate_encoder
from archscout.training.electra.masking import MaskedBatch, Masking
from archscout.training.electra.objectives import ReplacedTokens, build_objective
from archscout.training.electra.sequences import Shuffled, corpus_text
from archscout.training.weights import parameter_groups
from pretraining_runs import SCALE, SETTINGS, PretrainSmall, encoder_weights, genotype
from training_runs import Killed, assert_same, at, last_checkpoint
from two_processes import run_in_two_processes


def timeless(records: list[EvaluationRecord]) -> list[EvaluationRecord]:
    return [dataclasses.replace(r, seconds=0, tokens_per_second=0) for r in records]


EVERY_STEP = {"checkpoint_minutes": 0.0}


# The result


def test_pretraining_writes_its_folder(pretrain_small: PretrainSmall) -> None:
    pretrained = pretrain_small(milestones=6)
    folder = pretrained.folder.path
    assert pretrained.ended == "steps" and [r.step for r in pretrained.records] == [4, 8, 12]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == [dataclasses.asdict(record) for record in pretrained.records]
    assert lines[-1]["tokens"] == 12 * 4 * 12
    assert lines[-1]["valid_perplexity"] == math.exp(lines[-1]["valid_loss"])
    result = json.loads((folder / "result.json").read_text())
    assert result == pretrained.to_dict()
    best = next(line for line in lines if line["step"] == result["best_step"])
    assert best["valid_objective"] == min(line["valid_objective"] for line in lines)
    valid, baselines = result["losses"]["valid"], result["baselines"]["valid"]
    assert valid["nats"] == pytest.approx(best["valid_loss"], rel=1e-6)
    assert valid["detection_nats"] == pytest.approx(best["valid_detection"], rel=1e-6)
    assert baselines["unigram_nats"] == best["valid_unigram"]
    assert baselines["always_original"] == pytest.approx(best["valid_original"])
    assert baselines["base_rate_nats"] == pytest.approx(best["valid_base_rate"])
    assert set(result["losses"]) == {"valid", "test"}
    assert len(pretrained.folder.checkpoints.paths()) == 2
    assert not list(folder.rglob("*.part"))


def test_what_is_handed_over_loads_in_transformers(pretrain_small: PretrainSmall) -> None:
    from transformers import AutoModel, PreTrainedTokenizerFast

    from archscout.spaces.flexibert.pretrained import FlexibertForSequenceClassification

    pretrained = pretrain_small(milestones=6)
    names = ["step-00000000", "step-00000006", "step-00000012"]
    assert [path.name for path in pretrained.milestones] == names
    for folder in (pretrained.model, *pretrained.milestones):
        model = FlexibertForSequenceClassification.from_pretrained(folder)
        tokens = PreTrainedTokenizerFast.from_pretrained(folder)("w1 w2", return_tensors="pt")
        assert model(tokens.input_ids).logits.shape == (1, 2)
    loaded = AutoModel.from_pretrained(pretrained.model)
    assert_same(dict(loaded.network.named_parameters()), encoder_weights(pretrained))
    readme = (pretrained.model / "README.md").read_text()
    assert "pretrained on words.txt, validation perplexity of masked tokens" in readme
    assert "after 6 steps" in (pretrained.milestones[1] / "README.md").read_text()


def test_a_milestone_is_the_encoder_of_its_step(pretrain_small: PretrainSmall) -> None:
    from archscout.spaces.flexibert.pretrained import FlexibertModel

    pretrained = pretrain_small(milestones=6)
    short = {"steps": 6, "evaluate_every": 6, "schedule": "constant", "warm_up": 0.0}
    whole = pretrain_small("whole", **{**short, "steps": 12}, milestones=6)
    ended = pretrain_small("short", **short)
    loaded = FlexibertModel.from_pretrained(whole.milestones[1]).network
    assert_same(dict(loaded.named_parameters()), encoder_weights(ended))
    untrained = FlexibertModel.from_pretrained(pretrained.milestones[0]).network
    expected = pretrained.space.build(
        pretrained.architecture, len(pretrained.vocabulary), SCALE, seed=0
    )
    assert_same(dict(untrained.named_parameters()), dict(expected.named_parameters()))


LETTERS = "abcdefghijklmnopqrstuvwxyz"
RULE_LEARNED: dict[str, Any] = {
    "evaluate_every": 100,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "dropout": 0.0,
    "unigram_bias": True,
}


def text_with_a_rule(path: Path) -> Path:
    """Every word stands three times."""
    rng = random.Random(0)
    lines = []
    for _ in range(400):
        words = [rng.choice("abcdefgh") for _ in range(7)]
        lines.append(" ".join(f"{word} {word} {word}" for word in words))
    path.write_text("\n".join(lines))
    return path


def test_masked_tokens_are_learned(pretrain_small: PretrainSmall, tmp_path: Path) -> None:
    pretrained = pretrain_small(
        text=text_with_a_rule(tmp_path / "rule.txt"), task="masked", **RULE_LEARNED, steps=200
    )
    test = pretrained.losses["test"]
    assert test.nats < 0.85 * test.unigram


def test_generator_and_encoder_beat_trivial_baselines(
    pretrain_small: PretrainSmall, tmp_path: Path
) -> None:
    rng = random.Random(0)
    text = tmp_path / "same.txt"  # every sequence is one word over and over
    text.write_text("\n".join(f"{rng.choice(LETTERS)} " * 10 for _ in range(600)))
    pretrained = pretrain_small(
        text=text, **RULE_LEARNED, steps=300, scale=SCALE.resized(embedding_size=16)
    )
    test = pretrained.losses["test"]
    assert test.nats < 0.95 * test.unigram
    assert test.detection_accuracy is not None and test.original is not None
    assert 1 - test.detection_accuracy < 0.5 * (1 - test.original)
    assert test.detection is not None and test.base_rate is not None
    assert test.detection < 0.5 * test.base_rate


def test_the_optimizer_decays_no_biases_and_layer_norms(pieces: WordPiece) -> None:
    model = build_objective(FlexibertSpace(), genotype(), len(pieces), SCALE, SETTINGS, 0)
    decayed, undecayed = parameter_groups(model, 0.01)
    assert (decayed["weight_decay"], undecayed["weight_decay"]) == (0.01, 0.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert len(decayed["params"]) + len(undecayed["params"]) == len(names)
    spared = {names[id(p)] for p in undecayed["params"]}
    assert all(name.endswith((".bias", "LayerNorm.weight")) for name in spared)
    kept = {names[id(p)] for p in decayed["params"]}
    assert not any("LayerNorm" in name or name.endswith("bias") for name in kept)
    assert "encoder.embeddings.word_embeddings.weight" in kept


def test_accumulated_batches_are_one_batch(pretrain_small: PretrainSmall) -> None:
    changes = {"dropout": 0.0, "learning_rate": 1e-4}
    halves = pretrain_small("halves", batch_size=4, accumulation=2, **changes)
    whole = pretrain_small("whole", batch_size=8, **changes)
    found, expected = encoder_weights(halves), encoder_weights(whole)
    for name, value in expected.items():
        assert torch.allclose(found[name], value, atol=1e-5), name
    pairs = zip(halves.records, whole.records, strict=True)
    assert all(a.train_loss == pytest.approx(b.train_loss, rel=1e-5) for a, b in pairs)


def test_a_sequence_is_masked_anew_in_every_step(
    pretrain_small: PretrainSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, seen = loop_module.Pretraining._accumulate, list[MaskedBatch]()

    def accumulate(self: Any, whole: MaskedBatch) -> Any:
        seen.append(whole)
        return original(self, whole)

    monkeypatch.setattr(loop_module.Pretraining, "_accumulate", accumulate)
    monkeypatch.setattr(Shuffled, "read", lambda self, count: self._sequences[:count])
    pretrain_small(batch_size=30, steps=2)
    first, second = seen
    assert torch.equal(first.originals, second.originals)
    assert torch.equal(first.chosen.sum(1), second.chosen.sum(1))
    assert (first.chosen == second.chosen).all(1).double().mean() < 0.3
    assert not (first.draws == second.draws).any()


def test_the_rate_is_that_of_the_last_step(pretrain_small: PretrainSmall) -> None:
    pretrained = pretrain_small(warm_up=0.0)
    rates = [record.learning_rate for record in pretrained.records]
    assert rates == pytest.approx([1e-2 * (1 - step / 12) for step in (3, 7, 11)])


def test_evaluation_leaves_no_masked_token_to_be_seen(words: Path, pieces: WordPiece) -> None:
    model = build_objective(FlexibertSpace(), genotype(), len(pieces), SCALE, SETTINGS, 0).train()
    text = corpus_text(load_corpus(words), pieces, SETTINGS, 0)
    masking = Masking(pieces, 0.15)
    first = evaluate_encoder(model, text.valid, masking, text.counts, seed=1)
    assert model.training
    assert first == evaluate_encoder(model, text.valid, masking, text.counts, seed=1)
    assert first != evaluate_encoder(model, text.valid, masking, text.counts, seed=2)
    assert first.masked == len(text.valid) * 2 and first.tokens == text.valid.numel()
    chosen = masking.mask(text.valid, loop_module.seed_of(1, 2, 0), 1.0).chosen
    shares = (text.counts + 1) / (text.counts + 1).sum()
    assert first.unigram == pytest.approx(float(-shares[text.valid[chosen]].log().mean()), rel=1e-5)


def test_early_stopping(pretrain_small: PretrainSmall, monkeypatch: pytest.MonkeyPatch) -> None:
    original, found = loop_module.evaluate_encoder, iter([3.0, 2.0, 2.5, 2.0, 1.0, 1.0])

    def evaluate(*arguments: Any) -> Any:
        loss = original(*arguments)
        return dataclasses.replace(loss, nats=next(found), detection=0.0)

    monkeypatch.setattr(loop_module, "evaluate_encoder", evaluate)
    trained = pretrain_small(steps=100, evaluate_every=1, patience=2)
    assert (len(trained.records), trained.best_step, trained.ended) == (4, 2, "patience")


def test_time_budget(pretrain_small: PretrainSmall) -> None:
    trained = pretrain_small(steps=100_000, evaluate_every=100_000, minutes=0.005)
    assert trained.ended == "minutes" and len(trained.records) == 1
    assert 0.3 <= trained.records[-1].seconds < 10


def test_events_for_tensorboard(pretrain_small: PretrainSmall) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trained = pretrain_small()
    events = accumulator.EventAccumulator(str(trained.folder.path / "events"))
    events.Reload()
    values = [event.value for event in events.Scalars("loss/valid")]
    assert values == pytest.approx([record.valid_loss for record in trained.records], rel=1e-6)


def test_users_random_numbers_are_left_alone(pretrain_small: PretrainSmall) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    pretrain_small(steps=2)
    assert torch.equal(before, torch.get_rng_state())


def test_mixed_precision(pretrain_small: PretrainSmall, whole_small: PretrainSmall) -> None:
    mixed, whole = pretrain_small("mixed", precision="bfloat16"), whole_small()
    assert all(p.dtype == torch.float32 for p in mixed.encoder.parameters())
    assert mixed.losses["valid"].nats == pytest.approx(whole.losses["valid"].nats, rel=0.05)
    assert mixed.losses["valid"].nats != whole.losses["valid"].nats


# Going on


@pytest.mark.parametrize("task", ["replaced", "masked"])
@pytest.mark.parametrize("step", [1, 4, 7, 11])
def test_resumed_equals_uninterrupted(
    pretrain_small: PretrainSmall, whole_small: PretrainSmall, step: int, task: str
) -> None:
    changes = {"task": task, "milestones": 5}
    whole = whole_small(**changes)
    with pytest.raises(Killed):
        pretrain_small("cut", callbacks=at(step, Killed()), **changes, **EVERY_STEP)
    resumed = pretrain_small("cut", resume=True, **changes)
    assert_same(encoder_weights(whole), encoder_weights(resumed))
    assert_same(
        read_checkpoint(last_checkpoint(whole.folder.path)).tensors,
        read_checkpoint(last_checkpoint(resumed.folder.path)).tensors,
    )
    assert resumed.losses == whole.losses
    assert timeless(resumed.records) == timeless(whole.records)
    assert [path.name for path in resumed.milestones] == [path.name for path in whole.milestones]


KILLED = """
import os, signal, sys
sys.path.insert(0, {here!r})
from pretraining_runs import ENCODER, SCALE, SETTINGS
from archscout.training import train
def on_progress(progress):
    if progress.step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
settings = SETTINGS.resized(checkpoint_minutes=0)
train("flexibert", ENCODER, {text!r}, settings, {out!r}, scale=SCALE, vocabulary_size=40,
      on_progress=on_progress)
"""


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(
    pretrain_small: PretrainSmall, whole_small: PretrainSmall, words: Path, tmp_path: Path
) -> None:
    here = str(Path(__file__).parents[2])
    code = KILLED.format(here=here, step=7, text=str(words), out=str(tmp_path / "cut"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    whole, resumed = whole_small(), pretrain_small("cut", resume=True)
    assert_same(encoder_weights(whole), encoder_weights(resumed))
    assert resumed.losses == whole.losses


@pytest.mark.parametrize("step", [3, 9])
def test_a_streamed_pretraining_resumes(
    pretrain_small: PretrainSmall, words: Path, pieces: WordPiece, tmp_path: Path, step: int
) -> None:
    pytest.importorskip("datasets")
    pieces.save(tmp_path / "pieces.json")
    given: dict[str, Any] = {
        "text": StreamedText("text", files=(str(words),), held_out=10, buffer=15),
        "tokenizer": tmp_path / "pieces.json",
    }
    whole = pretrain_small("whole", **given)
    with pytest.raises(Killed):
        pretrain_small("cut", callbacks=at(step, Killed()), **given, **EVERY_STEP)
    resumed = pretrain_small("cut", resume=True, **given)
    assert_same(encoder_weights(whole), encoder_weights(resumed))
    assert resumed.losses == whole.losses and set(whole.losses) == {"valid"}


def test_ctrl_c_stops_with_a_checkpoint(
    pretrain_small: PretrainSmall, whole_small: PretrainSmall, tmp_path: Path
) -> None:
    def on_progress(progress: PretrainingProgress) -> None:
        if progress.step == 6:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        pretrain_small("cut", callbacks={"on_progress": on_progress})
    assert read_checkpoint(last_checkpoint(tmp_path / "cut")).state["progress"]["step"] == 6
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed = pretrain_small("cut", resume=True)
    assert_same(encoder_weights(resumed), encoder_weights(whole_small()))


def test_a_finished_pretraining_is_not_trained_again(pretrain_small: PretrainSmall) -> None:
    whole = pretrain_small()
    again = pretrain_small(resume=True, callbacks=at(1, AssertionError("trained again")))
    assert again.to_dict() == whole.to_dict()
    assert_same(encoder_weights(whole), encoder_weights(again))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_checkpoint_falls_back(
    pretrain_small: PretrainSmall, whole_small: PretrainSmall, tmp_path: Path, damage: str
) -> None:
    whole = whole_small()
    with pytest.raises(Killed):
        pretrain_small("cut", callbacks=at(7, Killed()), **EVERY_STEP)
    path = last_checkpoint(tmp_path / "cut")
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-100] ^= 1
    path.write_bytes(content[: {"truncated": len(content) // 2, "empty": 0}.get(damage)])
    warnings: list[str] = []
    resumed = pretrain_small("cut", resume=True, callbacks={"on_warning": warnings.append})
    assert len(warnings) == 1
    assert str(path) in warnings[0] and "going on from the one before it" in warnings[0]
    assert_same(encoder_weights(whole), encoder_weights(resumed))


@pytest.mark.parametrize("started", [False, True])
def test_a_vocabulary_that_a_kill_left_out_is_written(
    pretrain_small: PretrainSmall, tmp_path: Path, started: bool
) -> None:
    with pytest.raises(Killed):
        pretrain_small(callbacks=at(5, Killed()))
    vocabulary = tmp_path / "training" / "vocabulary.json"
    content = vocabulary.read_bytes()
    vocabulary.unlink()
    if not started:
        last_checkpoint(tmp_path / "training").unlink()
    pretrain_small(resume=True)
    assert vocabulary.read_bytes() == content


# Several processes


PROCESS = """
import json, sys
sys.path.insert(0, {here!r})
from accelerate.state import PartialState
from pretraining_runs import ENCODER, SCALE, SETTINGS
from archscout.training import train
settings = SETTINGS.resized(dropout=0.0, learning_rate=1e-3, steps=6, evaluate_every=3)
found = train("flexibert", ENCODER, {text!r}, settings, {out!r}, scale=SCALE, vocabulary_size=40)
process = PartialState().process_index
losses = [record.valid_objective for record in found.records]
open({out!r} + f"/process-{{process}}.json", "w").write(json.dumps(losses))
"""


@pytest.mark.slow
def test_two_processes_train_as_one_does(
    pretrain_small: PretrainSmall, words: Path, tmp_path: Path
) -> None:
    out = tmp_path / "two"
    script = tmp_path / "script.py"
    here = str(Path(__file__).parents[2])
    script.write_text(PROCESS.format(here=here, text=str(words), out=str(out)))
    run_in_two_processes(script)
    first, second = (json.loads((out / f"process-{i}.json").read_text()) for i in (0, 1))
    one = pretrain_small("one", dropout=0.0, learning_rate=1e-3, steps=6, evaluate_every=3)
    assert first == second and len(first) == 2
    assert first == pytest.approx([record.valid_objective for record in one.records], rel=1e-5)
    if (out / "events").exists():
        assert len(list((out / "events").iterdir())) == 1


def test_the_main_process_decides_for_all(
    pretrain_small: PretrainSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its time is up at once, and its losses are lower than those of this process.
    original = loop_module.Pretraining._agreed

    def agreed(self: Any, value: Any) -> Any:
        if isinstance(value, tuple):
            return (3600.0, False)
        if isinstance(value, PretrainingLoss):
            return dataclasses.replace(value, nats=0.5, detection=0.0)
        return original(self, value)

    monkeypatch.setattr(loop_module.Pretraining, "_agreed", agreed)
    trained = pretrain_small(minutes=1.0)
    assert (trained.ended, len(trained.records)) == ("minutes", 1)
    assert trained.records[0].valid_objective == 0.5
    assert (trained.records[0].step, trained.records[0].seconds) == (1, 3600.0)


# What differs


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "another seed: 0 there, 1 here"),
        ({"mask_share": 0.5}, "another settings: mask_share: 0.15 there, 0.5 here"),
        ({"architecture": FlexibertSpace().sample(0)}, "another architecture"),
    ],
)
def test_another_pretraining_is_refused(
    pretrain_small: PretrainSmall, changes: dict[str, Any], named: str
) -> None:
    pretrain_small(steps=1)
    with pytest.raises(InputError, match=named):
        pretrain_small(resume=True, **{"steps": 1, **changes})


def test_another_tokenizer_is_refused(
    pretrain_small: PretrainSmall, words: Path, tmp_path: Path
) -> None:
    pretrain_small(steps=1)
    other = WordPiece.train("other words of which there are as many " * 9, 40)
    other.save(tmp_path / "other.json")
    with pytest.raises(InputError, match=r"another (vocabulary size|tokenizer)"):
        pretrain_small(resume=True, steps=1, tokenizer=tmp_path / "other.json")


@pytest.mark.parametrize("named", ["text", "format"])
def test_a_checkpoint_from_elsewhere_is_refused(
    pretrain_small: PretrainSmall,
    words: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: str,
) -> None:
    with pytest.raises(Killed):
        pretrain_small(callbacks=at(3, Killed()), **EVERY_STEP)
    other = tmp_path / "other.txt"
    other.write_text(words.read_text())
    with monkeypatch.context() as patch:
        if named == "format":
            patch.setattr("archscout.training.trainer.FORMAT", 0)
        pretrain_small("other", text=other if named == "text" else None)
    foreign = last_checkpoint(tmp_path / "other")
    os.replace(foreign, tmp_path / "training" / "checkpoints" / foreign.name)
    with pytest.raises(InputError, match=f"the checkpoint in .* is a training of another {named}"):
        pretrain_small(resume=True)


# What goes wrong


def poisoned(patch: pytest.MonkeyPatch, at_step: int, poison: float) -> None:
    original, steps = loop_module.Pretraining._accumulate, [0]

    def accumulate(self: Any, whole: Any) -> Any:
        sums = original(self, whole)
        steps[0] += 1
        return sums * poison if steps[0] == at_step else sums

    patch.setattr(loop_module.Pretraining, "_accumulate", accumulate)


def test_divergence_is_recorded(
    pretrain_small: PretrainSmall, whole_small: PretrainSmall, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        poisoned(patch, 7, math.nan)
        with pytest.raises(Diverged, match="diverged in step 7: the loss is nan") as info:
            pretrain_small(**EVERY_STEP)
    path = last_checkpoint(tmp_path / "training")
    assert str(path) in str(info.value)
    checkpoint = read_checkpoint(path)
    assert checkpoint.state["progress"]["step"] == 6
    assert all(bool(t.isfinite().all()) for t in checkpoint.tensors.values())
    result = json.loads((tmp_path / "training" / "result.json").read_text())
    assert "diverged in step 7" in result["problem"]
    resumed, whole = pretrain_small(resume=True), whole_small()
    assert_same(encoder_weights(resumed), encoder_weights(whole))


def test_divergence_is_told_on_a_full_disk(
    pretrain_small: PretrainSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def diverge(self: Any, whole: Any) -> Any:
        monkeypatch.setattr(os, "fsync", full)
        return torch.full((5,), math.nan)

    monkeypatch.setattr(loop_module.Pretraining, "_accumulate", diverge)
    with pytest.raises(Diverged, match="diverged in step 1: the loss is nan"):
        pretrain_small()


def test_the_problem_is_forgotten_when_the_training_goes_on(
    pretrain_small: PretrainSmall, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        poisoned(patch, 3, math.nan)
        with pytest.raises(Diverged):
            pretrain_small()
    result = tmp_path / "training" / "result.json"
    assert "problem" in json.loads(result.read_text())
    with pytest.raises(Killed):
        pretrain_small(resume=True, callbacks=at(2, Killed()))
    assert not result.exists()


def test_divergence_at_an_evaluation_names_its_step(
    pretrain_small: PretrainSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = loop_module.evaluate_encoder

    def evaluate(*arguments: Any) -> Any:
        return dataclasses.replace(original(*arguments), detection=math.nan)

    monkeypatch.setattr(loop_module, "evaluate_encoder", evaluate)
    with pytest.raises(Diverged, match="diverged in step 4: the validation loss is nan"):
        pretrain_small()


def test_a_large_weight_of_detection_is_no_divergence(pretrain_small: PretrainSmall) -> None:
    pretrained = pretrain_small(discriminator_weight=5000.0, steps=4)
    assert pretrained.records[-1].valid_objective > 710  # of which the exponential overflows


def test_a_full_disk_leaves_the_checkpoint_before(
    pretrain_small: PretrainSmall,
    whole_small: PretrainSmall,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []
    original = os.fsync

    def fsync(file: int) -> None:
        calls.append(file)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(InputError, match=r"No space left on device\n.* is whole, and --resume"):
            pretrain_small("cut", **EVERY_STEP)
    assert not list((tmp_path / "cut").rglob("*.part"))
    resumed, whole = pretrain_small("cut", resume=True), whole_small()
    assert_same(encoder_weights(resumed), encoder_weights(whole))


def test_a_full_disk_leaves_the_model_before(
    pretrain_small: PretrainSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrained = pretrain_small()
    before = {file.name: file.read_bytes() for file in pretrained.model.iterdir()}

    def save_pretrained(*_: Any, **__: Any) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patch:
        patch.setattr(FlexibertSpace, "save_pretrained", save_pretrained)
        with pytest.raises(InputError, match=r"cannot write .*/model: I/O error: No space left"):
            pretrain_small(resume=True)
    assert {file.name: file.read_bytes() for file in pretrained.model.iterdir()} == before
    again = pretrain_small(resume=True)
    assert {file.name: file.read_bytes() for file in again.model.iterdir()} == before
    assert not list(again.folder.path.glob(".model*"))


def test_best_weights_that_are_damaged(pretrain_small: PretrainSmall) -> None:
    pretrained = pretrain_small()
    path = pretrained.folder.best(pretrained.best_step)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match=r"is damaged: .*\n.* train again in another folder"):
        pretrain_small(resume=True)


def test_an_infinite_gradient_is_divergence(
    pretrain_small: PretrainSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ReplacedTokens.forward

    def forward(self: Any, batch: Any) -> Any:
        found = original(self, batch)
        # Of the value 0, and with a gradient that overflows.
        steep = (found.nats - found.nats.detach()) * 1e38 * 1e5
        return found._replace(nats=found.nats.detach() + steep.nan_to_num())

    monkeypatch.setattr(ReplacedTokens, "forward", forward)
    with pytest.raises(Diverged, match=r"its gradient is .*\n*there is no checkpoint yet"):
        pretrain_small()


def test_bad_input_is_named(pretrain_small: PretrainSmall, words: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the train text has"):
        pretrain_small(batch_size=500)
    with pytest.raises(InputError, match="sequence_length is 20: the encoder has 16 positions"):
        pretrain_small(sequence_length=20)
    with pytest.raises(InputError, match="is read on the fly, and no tokenizer is trained on it"):
        pretrain_small(text=StreamedText("text", files=(str(words),)))
    with pytest.raises(InputError, match="settings of PretrainingSettings; this space takes Train"):
        train("rnn", "lstm", words, SETTINGS, tmp_path / "out")
    for space, name in (("rnn", "lstm"), ("gpt", "gpt2-tiny")):
        with pytest.raises(InputError, match=f"networks of space {space} read a text whole"):
            train(space, name, StreamedText("text"), "quick", tmp_path / "out")
    assert not (tmp_path / "training").exists() and not (tmp_path / "out").exists()


def test_without_accelerate_it_says_what_to_install(
    pretrain_small: PretrainSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(InputError, match=r"'archscout\[train\]', or 'archscout\[glue\]'"):
        pretrain_small()
