"""Fine-tuning at every checkpoint of a pretraining: the benchmark's score over its steps."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from archscout.errors import InputError
from archscout.files import write_json
from archscout.training.glue.data import DataSource, load_tasks
from archscout.training.glue.encoder import Encoder, load_encoder
from archscout.training.glue.finetuning import (
    Callbacks,
    FinetuningFolder,
    finetune,
    identity_of,
    ready_encoder,
)
from archscout.training.glue.finetuning_loop import examples_to_read
from archscout.training.glue.finetuning_settings import FinetuningSettings
from archscout.training.glue.results import Finetuned
from archscout.training.glue.tasks import named_tasks
from archscout.training.training_folder import MILESTONES, milestone_name, milestone_step

CURVE = "curve.json"


@dataclasses.dataclass(frozen=True)
class Curve:
    """An encoder's scores over the steps of its pretraining.

    Attributes:
        folder: where they lie.
        points: the results by steps, fewest first.
        genotype: plain JSON; None where the exported folders have none.
    """

    folder: Path
    points: Mapping[int, Finetuned]
    genotype: Any

    def to_entry(self) -> dict[str, Any]:
        """The curve as the published BERT_benchmark_train_ablation.json lays its entries out.

        Scores are in percent; `glue` is there where all eight tasks have a score, and a task only
        where it has one.
        """
        scores = {}
        for steps, finetuned in self.points.items():
            found = {**finetuned.scores, "glue": finetuned.glue}
            scores[str(steps)] = {k: v for k, v in found.items() if v is not None}
        return {
            "id": 0,
            "is_running": False,
            "completed": True,
            "time_to_finetune": sum(point.seconds for point in self.points.values()),
            "scores": scores,
            "hparams": {"model_hparam_overrides": self.genotype},
        }


def milestones(training: str | os.PathLike[str]) -> dict[int, Path]:
    """The encoders that a pretraining kept, by its steps, fewest first.

    Args:
        training: its folder.

    Raises:
        InputError: there are none, or two of as many steps.
    """
    folder = Path(training) / MILESTONES
    found: dict[int, Path] = {}
    for path in sorted(folder.glob("step-*")):
        steps = milestone_step(path.name)
        if steps is None or not path.is_dir():
            continue
        if steps in found:
            raise InputError(f"{found[steps]} and {path} are of as many steps; remove one of them")
        found[steps] = path
    if not found:
        raise InputError(
            f"no checkpoints to fine-tune: there is no {folder}/step-NNNNNNNN; accepted is the "
            "folder of an encoder's training that kept milestones"
        )
    return dict(sorted(found.items()))


def finetune_milestones(
    training: str | os.PathLike[str],
    data: DataSource,
    tasks: str | Sequence[str] | None = None,
    settings: FinetuningSettings | None = None,
    out: str | os.PathLike[str] = "finetuning",
    *,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    callbacks: Callbacks | None = None,
    on_milestone: Callable[[int, Finetuned], None] | None = None,
) -> Curve:
    """Fine-tune every encoder that a pretraining kept, and write `curve.json`.

    Resumed, it goes on where it was stopped, and takes in what the training has kept since.

    Args:
        training: the folder of the pretraining, with `milestones/step-NNNNNNNN/`.
        data: see `finetune`, as the five that follow.
        tasks: names of tasks.
        settings: the recipe.
        out: the folder for results, with a folder `step-NNNNNNNN` for each encoder.
        seed: of all that is random.
        device: where it is trained.
        resume: go on with what lies in the folder.
        callbacks: who is told of the progress, which counts the examples of all encoders.
        on_milestone: called with the steps and the results of each.

    Raises:
        InputError: as `finetune`, or there are no milestones.
        KeyboardInterrupt: Ctrl-C; a checkpoint was written.
    """
    settings, tell = settings or FinetuningSettings(), callbacks or Callbacks()
    paths = milestones(training)
    chosen = named_tasks(tasks)
    for path in paths.values():  # before hours of work
        ready_encoder(path, settings, device, seed)
    examples = load_tasks(data, chosen, tell.on_warning)
    folder = FinetuningFolder(out)
    with folder.claimed(resume):
        folder.begin(
            {"every_checkpoint": True, **identity_of(chosen, examples, settings, seed)}, resume
        )
        each = sum(examples_to_read(task, examples[task.name], settings) for task in chosen)
        points: dict[int, Finetuned] = {}
        encoder: Encoder | None = None
        for i, (steps, path) in enumerate(paths.items()):
            encoder = load_encoder(path)
            place = FinetuningFolder(folder.path / milestone_name(steps))
            points[steps] = finetune(
                encoder,
                examples,
                [task.name for task in chosen],
                settings,
                place.path,
                seed=seed,
                device=device,
                resume=place.exists,
                callbacks=tell.shifted(i * each, len(paths) * each),
            )
            if on_milestone is not None:
                on_milestone(steps, points[steps])
        assert encoder is not None
        curve = Curve(folder.path, points, encoder.genotype)
        write_json(folder.path / CURVE, [curve.to_entry()])
        return curve
