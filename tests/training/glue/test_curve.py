"""Fine-tuning at every checkpoint of a pretraining."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archscout.benchmarks import DataFolder
from archscout.benchmarks.nas_bench_bert import load
from archscout.errors import InputError
from archscout.training.glue import Callbacks, Finetuned, finetune_milestones, milestones
from archscout.training.glue.finetuning_loop import Progress
from archscout.training.training_folder import milestone_name
from glue_runs import GENOTYPE, SETTINGS, SPACE, export_tiny
from made_up import encoder_data

TASKS = ["cola", "rte"]


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    for seed, steps in enumerate((100, 20)):
        export_tiny(folder / "milestones" / milestone_name(steps), seed)
    return folder


def test_every_milestone_is_a_point(training: Path, glue_data: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    points: list[tuple[int, Finetuned]] = []
    curve = finetune_milestones(
        training,
        glue_data,
        TASKS,
        SETTINGS,
        tmp_path / "out",
        callbacks=Callbacks(on_progress=told.append),
        on_milestone=lambda steps, point: points.append((steps, point)),
    )
    assert list(curve.points) == [20, 100] == [steps for steps, _ in points]
    assert told[-1].examples == told[-1].total_examples == 2 * 2 * 2 * 40
    assert [p.examples for p in told] == sorted(p.examples for p in told)
    assert (tmp_path / "out" / "step-00000020" / "cola" / "result.json").exists()
    (entry,) = json.loads((tmp_path / "out" / "curve.json").read_text())
    assert entry == json.loads(json.dumps(curve.to_entry()))
    assert entry["hparams"] == {"model_hparam_overrides": SPACE.to_dict(GENOTYPE)}
    assert entry["scores"]["20"] == curve.points[20].scores  # no glue: six tasks are missing
    again = finetune_milestones(training, glue_data, TASKS, SETTINGS, tmp_path / "out", resume=True)
    assert again.to_entry() == curve.to_entry()


def test_the_curve_is_laid_out_as_the_published_ones(
    training: Path, glue_data: Path, tmp_path: Path
) -> None:
    settings = SETTINGS.resized(epochs=1, limit=8)
    curve = finetune_milestones(training, glue_data, None, settings, tmp_path / "out")
    data = encoder_data(tmp_path / "data")
    ablation = next(data.rglob("BERT_benchmark_train_ablation.json"))
    published = json.loads(ablation.read_text())[0]
    (entry,) = json.loads((tmp_path / "out" / "curve.json").read_text())
    assert entry["scores"]["20"].keys() == published["scores"]["0"].keys()
    ablation.write_text(json.dumps([entry]))
    curves = load(DataFolder(data)).curves
    assert curves["steps"].tolist() == [20, 100]
    assert curves["glue"].tolist() == [point.glue for point in curve.points.values()]


def test_the_steps_are_sorted_and_others_left_alone(tmp_path: Path) -> None:
    for name in ("step-1000", "step-0200", "step-x", "notes"):
        (tmp_path / "milestones" / name).mkdir(parents=True)
    assert [(k, path.name) for k, path in milestones(tmp_path).items()] == [
        (200, "step-0200"),
        (1000, "step-1000"),
    ]
    with pytest.raises(InputError, match=r"no checkpoints to fine-tune: there is no .*nothing/mil"):
        milestones(tmp_path / "nothing")
    (tmp_path / "milestones" / "step-200").mkdir()
    with pytest.raises(InputError, match=r"step-0200 and .*step-200 are of as many steps; remove"):
        milestones(tmp_path)


def test_a_damaged_milestone_is_named_before_any_work(
    training: Path, glue_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "milestones" / "step-1").mkdir(parents=True)
    with pytest.raises(InputError, match=r"step-1 is no encoder: it lacks config.json"):
        finetune_milestones(tmp_path, glue_data, TASKS, SETTINGS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_refused(training: Path, glue_data: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match=r"is not empty \(letter.txt\) and holds no "):
        finetune_milestones(training, glue_data, TASKS, SETTINGS, tmp_path)
