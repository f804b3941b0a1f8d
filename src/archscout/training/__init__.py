"""Training: an architecture becomes a trained language model.

>>> import tempfile
>>> from archscout.training import preset, train
>>> settings = preset("quick").resized(epochs=1, batch_size=10, evaluation_batch_size=5)
>>> with tempfile.TemporaryDirectory() as folder:
...     trained = train("rnn", "rnn", "python-docs", settings, folder, vocabulary_limit=50)
>>> trained.best_epoch, sorted(trained.losses)
(1, ['test', 'valid'])
"""

from archscout.training.folder import TrainingFolder
from archscout.training.outcome import Diverged, Loss
from archscout.training.recurrent.evaluation import evaluate
from archscout.training.recurrent.generation import sample_text
from archscout.training.recurrent.loop import EpochRecord, Progress
from archscout.training.recurrent.settings import PRESETS, TrainingSettings, named_preset, preset
from archscout.training.recurrent.training import Trained, train

__all__ = [
    "PRESETS",
    "Diverged",
    "EpochRecord",
    "Loss",
    "Progress",
    "Trained",
    "TrainingFolder",
    "TrainingSettings",
    "evaluate",
    "named_preset",
    "preset",
    "sample_text",
    "train",
]
