"""Recurrent cells of NAS-Bench-NLP and the language model around them."""

from archscout.spaces.recurrent.cells import CELLS
from archscout.spaces.recurrent.language_model import Dropout, RecurrentLanguageModel
from archscout.spaces.recurrent.recipe import Node, Recipe
from archscout.spaces.recurrent.recorder import RecurrentRecorder
from archscout.spaces.recurrent.space import RecurrentScale, RecurrentSpace

__all__ = [
    "CELLS",
    "Dropout",
    "Node",
    "Recipe",
    "RecurrentLanguageModel",
    "RecurrentRecorder",
    "RecurrentScale",
    "RecurrentSpace",
]
