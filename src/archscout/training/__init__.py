"""Training: an architecture becomes a trained language model, or a pretrained encoder.

>>> import tempfile
>>> from archscout.training import preset, train
>>> settings = preset("quick").resized(epochs=1, batch_size=100, evaluation_batch_size=20)
>>> with tempfile.TemporaryDirectory() as folder:
...     trained = train("rnn", "rnn", "python-docs", settings, folder, vocabulary_size=50)
>>> trained.best_epoch, sorted(trained.losses)
(1, ['test', 'valid'])
"""

from archscout.training.by_space import (
    comparison_preset,
    comparison_settings,
    find_trainer,
    named_preset,
    preset,
    register,
    train,
    trainer_of,
    trainers,
)
from archscout.training.causal.causal_settings import CausalSettings
from archscout.training.causal.trainer import CausalTrainer, TrainedCausal
from archscout.training.electra.evaluation import PretrainingLoss, evaluate_encoder
from archscout.training.electra.pretraining_loop import EvaluationRecord, PretrainingProgress
from archscout.training.electra.pretraining_settings import PretrainingSettings
from archscout.training.electra.streams import StreamedText
from archscout.training.electra.trainer import Pretrained
from archscout.training.gpt.decoder_settings import DecoderSettings
from archscout.training.loop import TrainingLoop
from archscout.training.outcome import Diverged, Loss, Paused, Untrainable
from archscout.training.recurrent.evaluation import evaluate
from archscout.training.recurrent.generation import sample_text
from archscout.training.recurrent.language_model_loop import EpochRecord, Progress
from archscout.training.recurrent.language_model_settings import PRESETS, TrainingSettings
from archscout.training.recurrent.trainer import Trained
from archscout.training.trainer import Assignment, Measure, Summary, Trainer
from archscout.training.training_folder import TrainingFolder

__all__ = [
    "PRESETS",
    "Assignment",
    "CausalSettings",
    "CausalTrainer",
    "DecoderSettings",
    "Diverged",
    "EpochRecord",
    "EvaluationRecord",
    "Loss",
    "Measure",
    "Paused",
    "Pretrained",
    "PretrainingLoss",
    "PretrainingProgress",
    "PretrainingSettings",
    "Progress",
    "StreamedText",
    "Summary",
    "Trained",
    "TrainedCausal",
    "Trainer",
    "TrainingFolder",
    "TrainingLoop",
    "TrainingSettings",
    "Untrainable",
    "comparison_preset",
    "comparison_settings",
    "evaluate",
    "evaluate_encoder",
    "find_trainer",
    "named_preset",
    "preset",
    "register",
    "sample_text",
    "train",
    "trainer_of",
    "trainers",
]
