"""Fine-tuning of encoders on GLUE, as published for ELECTRA-small.

>>> from archscout.training.glue import FinetuningSettings, Task, named_tasks
>>> FinetuningSettings().epochs_of(named_tasks(["rte"])[0])
10
"""

from archscout.training.glue.curve import Curve, finetune_milestones, milestones
from archscout.training.glue.encoder import Encoder, load_encoder
from archscout.training.glue.examples import Examples, TaskData, majority_baseline
from archscout.training.glue.finetuning import Callbacks, finetune, finetune_task
from archscout.training.glue.finetuning_loop import EpochRecord, Progress
from archscout.training.glue.finetuning_settings import FinetuningSettings
from archscout.training.glue.metrics import measure
from archscout.training.glue.results import Finetuned, TaskResult
from archscout.training.glue.tasks import TASKS, Task, named_tasks

__all__ = [
    "TASKS",
    "Callbacks",
    "Curve",
    "Encoder",
    "EpochRecord",
    "Examples",
    "Finetuned",
    "FinetuningSettings",
    "Progress",
    "Task",
    "TaskData",
    "TaskResult",
    "finetune",
    "finetune_milestones",
    "finetune_task",
    "load_encoder",
    "majority_baseline",
    "measure",
    "milestones",
    "named_tasks",
]
