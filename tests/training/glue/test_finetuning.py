"""Whole fine-tunings: their end, their interruption, and what can go wrong."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from archscout.errors import InputError
from archscout.training import PretrainingSettings, train
from archscout.training.checkpoints import Checkpoints, read_checkpoint
from archscout.training.glue import (
    TASKS,
    Callbacks,
    Encoder,
    Examples,
    Finetuned,
    FinetuningSettings,
    Progress,
    Task,
    TaskData,
    finetune,
    finetune_task,
    finetuning,
)
from archscout.training.glue.data import load_tasks
from archscout.training.glue.finetuning_loop import TaskTraining, examples_to_read
from glue_runs import GENOTYPE, SCALE, SETTINGS, single_rows, write_glue
from training_runs import Killed, at

EVERY_STEP = {"checkpoint_minutes": 0.0}


def outcome(finetuned: Finetuned) -> dict[str, Any]:
    """Everything that was computed: losses, which depend on every weight, and metrics."""
    timed = {"seconds", "examples_per_second"}
    found = {}
    for name in finetuned.results:
        lines = (finetuned.folder / name / "metrics.jsonl").read_text().splitlines()
        found[name] = [
            {k: v for k, v in json.loads(line).items() if k not in timed} for line in lines
        ]
    return {"scores": finetuned.scores, "records": found}


# The result


def test_all_tasks_are_learned(encoder: Encoder, tmp_path: Path) -> None:
    data = write_glue(tmp_path / "glue", train=80, dev=40)
    told: list[Progress] = []
    started: list[tuple[int, int]] = []
    found = finetune(
        encoder,
        data,
        settings=SETTINGS.resized(epochs=4),
        out=tmp_path / "out",
        callbacks=Callbacks(
            on_start=lambda done, total: started.append((done, total)), on_progress=told.append
        ),
    )
    assert list(found.results) == list(TASKS)
    for result in found.results.values():
        assert result.score is not None and result.problem is None
        assert result.score > result.baseline + 5, result
    assert found.glue == pytest.approx(sum(found.scores.values()) / 8)  # type: ignore[arg-type]
    assert found.baseline is not None and found.glue is not None
    assert found.glue > found.baseline + 20
    total = 4 * 80 * (8 + 2)  # two tasks in both orders
    assert started[0] == (0, total) and all(each == total for _, each in started)
    assert told[-1].examples == told[-1].total_examples == total
    assert [p.examples for p in told] == sorted(p.examples for p in told)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results == json.loads(json.dumps(found.to_dict()))
    identity = json.loads((tmp_path / "out" / "finetuning.json").read_text())
    assert identity["encoder"] == {"sha256": encoder.sha256} and identity["seed"] == 0
    assert {"torch", "accelerate", "python"} <= identity["versions"].keys()


@pytest.mark.slow
def test_a_task_is_learned_after_pretraining(tmp_path: Path) -> None:
    """Its words stand in random order, so that pretraining has little to teach."""
    data = write_glue(tmp_path / "glue", train=160, dev=80)
    text = tmp_path / "text.txt"
    text.write_text("\n".join(first for first, _, _ in single_rows(600, seed=3)))
    settings = PretrainingSettings(
        steps=60, batch_size=16, sequence_length=12, learning_rate=1e-3, evaluate_every=30
    )
    pretrained = train("flexibert", GENOTYPE, text, settings, tmp_path / "encoder", scale=SCALE)
    found = finetune(
        tmp_path / "encoder", data, "sst", SETTINGS.resized(epochs=8), tmp_path / "out"
    ).results["sst"]
    assert found.score is not None and found.score > found.baseline + 20
    loss = pretrained.losses["test"]
    assert loss.detection_accuracy is not None and loss.original is not None
    assert loss.detection_accuracy > loss.original + 0.05


def test_the_folder_of_a_task(finetune_small: Any, tmp_path: Path) -> None:
    found = finetune_small(tasks=("rte", "cola"), limit=17)
    assert list(found.results) == ["cola", "rte"]
    for name, result in found.results.items():
        folder = tmp_path / "out" / name
        assert {path.name for path in folder.iterdir()} == {"metrics.jsonl", "result.json"}
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in lines] == [1, 2]
        assert lines[-1]["metrics"] == result.metrics
        assert json.loads((folder / "result.json").read_text()) == dataclasses.asdict(result)
        assert result.train_examples == 17 and result.epochs == 2
    assert found.glue is None and found.leaderboard is None
    assert found.mean == pytest.approx(sum(found.scores.values()) / 2)
    assert found.to_dict()["mean"]["tasks"] == ["cola", "rte"]


def test_the_classifier_is_handed_over(encoder: Encoder, glue_data: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

    finetune(encoder, glue_data, "rte", SETTINGS, tmp_path / "out", keep_models=True)
    folder = tmp_path / "out" / "rte" / "model"
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
    assert model.config.id2label == {0: "entailment", 1: "not_entailment"}
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    inputs = tokenizer("w1 good", "w2", return_tensors="pt")
    assert model.eval()(**inputs).logits.shape == (1, 2)
    before = encoder.weights["network.embeddings.word_embeddings.weight"]
    assert not torch.equal(model.flexibert.get_input_embeddings().weight, before)


def test_a_model_that_was_not_kept_is_told_of(
    encoder: Encoder, glue_data: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    tell = Callbacks(on_warning=told.append)
    for is_kept in (False, True):
        finetune(
            *(encoder, glue_data, "rte", SETTINGS, tmp_path / "out"),
            resume=is_kept,
            keep_models=is_kept,
            callbacks=tell,
        )
    (warning,) = told
    result = tmp_path / "out" / "rte" / "result.json"
    assert "has no model: it was not to be kept" in warning and f"remove {result}" in warning


def test_published_settings() -> None:
    settings = FinetuningSettings()
    assert (settings.learning_rate, settings.layer_decay, settings.batch_size) == (3e-4, 0.8, 32)
    assert (settings.warm_up, settings.epsilon, settings.weight_decay) == (0.1, 1e-6, 0.0)
    assert (settings.dropout, settings.clip, settings.max_length) == (0.1, 1.0, 128)
    assert [settings.epochs_of(TASKS[name]) for name in ("cola", "rte", "sts")] == [3, 10, 10]
    assert settings.resized(epochs=2).epochs_of(TASKS["rte"]) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("learning_rate", -1.0),
        ("learning_rate", float("nan")),
        ("layer_decay", 0.0),
        ("layer_decay", 1.5),
        ("dropout", 1.0),
        ("batch_size", 2.5),
        ("max_length", 4),
        ("limit", 0),
        ("precision", "float8"),
        ("schedule", "step"),
    ],
)
def test_bad_settings_are_named(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"training setting {name} is {value!r}: "):
        FinetuningSettings().resized(**{name: value})


def test_examples_that_are_read(glue_data: Path) -> None:
    data = load_tasks(glue_data, [TASKS["mrpc"], TASKS["rte"]])
    settings = FinetuningSettings()
    assert examples_to_read(TASKS["mrpc"], data["mrpc"], settings) == 2 * 40 * 3
    one = settings.resized(both_orders=False, limit=10)
    assert examples_to_read(TASKS["mrpc"], data["mrpc"], one) == 10 * 3
    assert examples_to_read(TASKS["rte"], data["rte"], settings) == 40 * 10
    turned = data["mrpc"].train.in_both_orders()
    assert turned.second is not None
    assert (turned.first[40], turned.second[40]) == (turned.second[0], turned.first[0])


def test_a_task_of_ones_own(encoder: Encoder, tmp_path: Path) -> None:
    rows = single_rows(80, 3)
    task = Task("tone", "Tone", ("low", "high"))
    examples = Examples([row[0] for row in rows], None, [int(row[2]) for row in rows])
    data = TaskData(examples.head(60), {"held out": Examples(*_tail(examples, 60))})
    before = {name: weight.clone() for name, weight in encoder.weights.items()}
    result = finetune_task(encoder, task, data, SETTINGS.resized(epochs=4))
    assert result.score is not None and result.score > result.baseline + 10
    assert list(result.metrics) == ["accuracy"] and result.problem is None
    assert all(torch.equal(weight, before[name]) for name, weight in encoder.weights.items())
    assert not list(tmp_path.iterdir())
    empty = TaskData(examples.head(60), {"dev": examples.head(0)})
    with pytest.raises(InputError, match="task tone has no examples in its part dev"):
        finetune_task(encoder, task, empty, SETTINGS)
    with pytest.raises(InputError, match="task tone has no part that is evaluated on"):
        finetune_task(encoder, task, TaskData(examples, {}), SETTINGS)


def _tail(examples: Examples, start: int) -> tuple[Any, None, Any]:
    return examples.first[start:], None, examples.labels[start:]


def test_the_same_arguments_give_the_same_result(finetune_small: Any) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = outcome(finetune_small("first"))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(7)
    assert outcome(finetune_small("again")) == first
    assert outcome(finetune_small("other", seed=1)) != first


def test_mixed_precision(finetune_small: Any, whole_small: Any) -> None:
    whole = outcome(whole_small())
    mixed = outcome(finetune_small("mixed", precision="bfloat16"))
    assert mixed != whole
    for a, b in zip(mixed["records"]["cola"], whole["records"]["cola"], strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], abs=0.15)
    assert outcome(finetune_small("again")) == whole


# Going on


@pytest.mark.parametrize("step", [1, 5, 7, 14])
def test_resumed_equals_uninterrupted(finetune_small: Any, whole_small: Any, step: int) -> None:
    whole = whole_small(tasks=("cola", "rte"))
    with pytest.raises(Killed):
        callbacks = at(step, Killed())
        finetune_small("cut", tasks=("cola", "rte"), callbacks=callbacks, **EVERY_STEP)
    resumed = finetune_small("cut", tasks=("cola", "rte"), resume=True)
    assert outcome(resumed) == outcome(whole)


KILLED = """
import os, signal, sys
sys.path.insert(0, {here!r})
from glue_runs import SETTINGS
from archscout.training.glue import Callbacks, finetune
steps = []
def on_progress(progress):
    steps.append(progress)
    if len(steps) == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
settings = SETTINGS.resized(checkpoint_minutes=0)
finetune({encoder!r}, {data!r}, ["cola", "rte"], settings, {out!r},
         callbacks=Callbacks(on_progress=on_progress))
"""


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(
    finetune_small: Any, whole_small: Any, encoder: Encoder, glue_data: Path, tmp_path: Path
) -> None:
    code = KILLED.format(
        here=str(Path(__file__).parents[2]),
        step=13,  # of the second task
        encoder=str(encoder.path),
        data=str(glue_data),
        out=str(tmp_path / "cut"),
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    tasks = ("cola", "rte")
    whole, resumed = whole_small(tasks), finetune_small("cut", tasks, resume=True)
    assert outcome(whole) == outcome(resumed)


def test_ctrl_c_stops_with_a_checkpoint(
    finetune_small: Any, whole_small: Any, tmp_path: Path
) -> None:
    steps: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        steps.append(progress)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        finetune_small("cut", callbacks={"on_progress": on_progress})
    checkpoint, damages = Checkpoints(tmp_path / "cut" / "cola" / "checkpoints").latest()
    assert len(steps) == 3 and not damages
    assert checkpoint is not None and checkpoint.state["progress"]["step"] == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert outcome(finetune_small("cut", resume=True)) == outcome(whole_small())


def test_finished_tasks_are_not_repeated(finetune_small: Any) -> None:
    whole = finetune_small(tasks=("cola", "rte"))
    told: list[str] = []
    never = at(1, AssertionError("trained again"))
    again = finetune_small(
        tasks=("cola", "rte"),
        resume=True,
        callbacks={**never, "on_result": lambda result: told.append(result.task)},
    )
    assert again.to_dict() == whole.to_dict()
    assert told == ["cola", "rte"]


def test_checkpoints_of_a_finished_task_are_removed(finetune_small: Any, tmp_path: Path) -> None:
    """It may have been killed after its result was written."""
    finetune_small()
    left = tmp_path / "out" / "cola" / "checkpoints" / "checkpoint-00000001.safetensors"
    left.parent.mkdir()
    left.write_bytes(b"")
    finetune_small(resume=True)
    assert not left.parent.exists()


@pytest.mark.parametrize("damage", ["one", "all"])
def test_a_damaged_checkpoint_falls_back(
    finetune_small: Any, whole_small: Any, tmp_path: Path, damage: str
) -> None:
    with pytest.raises(Killed):
        finetune_small("cut", callbacks=at(4, Killed()), **EVERY_STEP)
    paths = Checkpoints(tmp_path / "cut" / "cola" / "checkpoints").paths()
    for path in paths if damage == "all" else paths[-1:]:
        path.write_bytes(path.read_bytes()[:100])
    warnings: list[str] = []
    resumed = finetune_small("cut", resume=True, callbacks={"on_warning": warnings.append})
    assert "is damaged" in warnings[0]
    anew = any("starting the task from the beginning" in warning for warning in warnings)
    assert anew == (damage == "all")
    assert outcome(resumed) == outcome(whole_small())


# What differs


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "another seed: 0 there, 1 here"),
        ({"learning_rate": 0.5}, r"another settings: learning_rate: 0.002 there, 0.5 here"),
        ({"tasks": ("cola", "sst")}, r"another tasks: \['cola'\] there, \['cola', 'sst'\] here"),
    ],
)
def test_another_finetuning_is_refused(
    finetune_small: Any, changes: dict[str, Any], named: str
) -> None:
    finetune_small(epochs=1)
    with pytest.raises(InputError, match=named):
        finetune_small(resume=True, **{"epochs": 1, **changes})


def test_other_data_and_encoders_are_refused(
    finetune_small: Any, encoder: Encoder, glue_data: Path, tmp_path: Path
) -> None:
    finetune_small(epochs=1)
    data = load_tasks(glue_data, [TASKS["cola"]])["cola"]
    fewer = dataclasses.replace(data, train=data.train.head(39))
    with pytest.raises(InputError, match="another data: cola"):
        finetune_small(resume=True, epochs=1, data={"cola": fewer})
    other = dataclasses.replace(encoder, sha256="0")
    with pytest.raises(InputError, match="another encoder: sha256"):
        settings = SETTINGS.resized(epochs=1)
        finetune(other, glue_data, ["cola"], settings, tmp_path / "out", resume=True)


def test_another_format_is_refused(
    finetune_small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(finetuning, "FORMAT", 0)
        with pytest.raises(Killed):
            finetune_small(callbacks=at(3, Killed()), **EVERY_STEP)
    with pytest.raises(InputError, match=r"out is a training of another format: 0 there, 1 here"):
        finetune_small(resume=True)
    description = tmp_path / "out" / "finetuning.json"
    description.write_text(json.dumps(json.loads(description.read_text()) | {"format": 1}))
    message = r"the checkpoint in .*cola/checkpoints is a training of another format: 0 there"
    with pytest.raises(InputError, match=message):
        finetune_small(resume=True)
    description.write_text("{")
    with pytest.raises(InputError, match=r"cannot read .*finetuning.json"):
        finetune_small(resume=True)


def test_a_folder_in_use_is_refused(finetune_small: Any, tmp_path: Path) -> None:
    finetune_small(epochs=1)
    with pytest.raises(InputError, match="already holds a fine-tuning; go on with it by --resume"):
        finetune_small(epochs=1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match=r"is not empty \(letter.txt\) and holds no "):
        finetune_small("full")
    with pytest.raises(InputError, match="is a file; --out takes a folder"):
        finetune_small("full/letter.txt")
    path = tmp_path / "out" / "cola" / "result.json"
    path.write_text("{")
    with pytest.raises(InputError, match=r"cannot read .*result.json.*; remove it to fine-tune"):
        finetune_small(epochs=1, resume=True)


# What goes wrong


def test_divergence_ends_one_task(finetune_small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = TaskTraining._rate

    def rate(training: TaskTraining) -> float:
        too_high = training.task.name == "cola" and training.state.epoch == 2
        return 1e30 if too_high else original(training)

    monkeypatch.setattr(TaskTraining, "_rate", rate)
    found = finetune_small(tasks=("cola", "rte"))
    failed, done = found.results["cola"], found.results["rte"]
    assert failed.problem is not None and failed.score is None and failed.metrics == {}
    assert "fine-tuning on cola diverged in epoch 2, step 2: " in failed.problem
    assert failed.epochs == 1
    (kept,) = Checkpoints(found.folder / "cola" / "checkpoints").paths()
    assert failed.problem.endswith(f"; the last good checkpoint is {kept}")
    checkpoint = read_checkpoint(kept)
    assert all(tensor.isfinite().all() for tensor in checkpoint.tensors.values())
    assert checkpoint.state["progress"]["epoch"] == 2
    assert not (found.folder / "rte" / "checkpoints").exists()
    assert done.score is not None and found.mean == done.score and found.counted == ["rte"]
    assert json.loads((found.folder / "results.json").read_text())["scores"]["cola"] is None
    again = finetune_small(tasks=("cola", "rte"), resume=True, callbacks=at(1, AssertionError()))
    assert again.to_dict() == found.to_dict()
    assert kept.exists()


def test_divergence_in_the_first_epoch_and_in_its_evaluation(
    finetune_small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(TaskTraining, "_rate", lambda _: 1e30)
        problem = finetune_small().results["cola"].problem
    assert "epoch 1, step 2: " in problem and problem.endswith("; there is no good checkpoint")

    # Five steps an epoch; only the update of the last one is too large.
    original = TaskTraining._rate
    monkeypatch.setattr(
        TaskTraining, "_rate", lambda self: 1e30 if self.state.step == 4 else original(self)
    )
    problem = finetune_small("other", **EVERY_STEP).results["cola"].problem
    assert "epoch 1, step 5: its predictions are no numbers; the last good" in problem
    named = problem.rpartition(" ")[2]
    assert named.endswith("checkpoint-00000064.safetensors")  # of four steps, not of the fifth
    largest = max(t.abs().max() for t in read_checkpoint(Path(named)).tensors.values())
    assert largest < 1e3


def test_divergence_without_a_folder(
    encoder: Encoder, glue_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TaskTraining, "_rate", lambda _: 1e30)
    data = load_tasks(glue_data, [TASKS["cola"]])["cola"]
    problem = finetune_task(encoder, TASKS["cola"], data, SETTINGS).problem
    assert problem is not None and "checkpoint" not in problem


def test_a_full_disk_leaves_what_was_there(
    finetune_small: Any, whole_small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    full: list[bool] = []
    original = os.fsync

    def fsync(file: int) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(file)

    def on_progress(progress: Progress) -> None:
        full.extend([True] * (progress.epoch == 2))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(InputError, match=r"cannot write .*: No space left on device\n.* is w"):
            finetune_small("cut", callbacks={"on_progress": on_progress}, **EVERY_STEP)
    assert outcome(finetune_small("cut", resume=True)) == outcome(whole_small())


def test_inputs_longer_than_the_encoder_takes(finetune_small: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"max_length is 128; the encoder .* has 32 positions"):
        finetune_small(max_length=128)
    assert not (tmp_path / "out").exists()


def test_without_accelerate(
    finetune_small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "accelerate", None)
        with pytest.raises(InputError, match="the package accelerate"):
            finetune_small()
    several = SimpleNamespace(num_processes=2)
    monkeypatch.setattr(finetuning, "accelerator", lambda *_: several)
    with pytest.raises(InputError, match="in one process; start it without accelerate launch"):
        finetune_small()
    assert not (tmp_path / "out").exists()


def test_bad_arguments(finetune_small: Any, encoder: Encoder, glue_data: Path) -> None:
    with pytest.raises(InputError, match="seed is -1"):
        finetune_small(seed=-1)
    with pytest.raises(InputError, match="device 'abacus' cannot be used"):
        finetune(encoder, glue_data, ["cola"], SETTINGS, device="abacus")
    with pytest.raises(InputError, match="no examples of task rte; there are cola"):
        finetune_small(tasks=("rte",), data={"cola": None})
