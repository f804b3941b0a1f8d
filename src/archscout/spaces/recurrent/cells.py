"""Recurrent cells that have a name in the literature, as recipes."""

from __future__ import annotations

from archscout.spaces.recurrent.recipe import Node, Recipe


def _linear(*inputs: str) -> Node:
    return Node(op="linear", input=inputs)


def _tanh(source: str) -> Node:
    return Node(op="activation_tanh", input=(source,))


def _sigmoid(source: str) -> Node:
    return Node(op="activation_sigm", input=(source,))


def _product(a: str, b: str) -> Node:
    return Node(op="elementwise_prod", input=(a, b))


# Elman 1990, as in torch.nn.RNN.
RNN = Recipe({"sum": _linear("x", "h_prev_0"), "h_new_0": _tanh("sum")})

# Cho et al. 2014: the reset gate acts before the linear map (torch.nn.GRU has it after).
GRU = Recipe(
    {
        "reset_sum": _linear("x", "h_prev_0"),
        "reset": _sigmoid("reset_sum"),
        "update_sum": _linear("x", "h_prev_0"),
        "update": _sigmoid("update_sum"),
        "kept": _product("reset", "h_prev_0"),
        "candidate_sum": _linear("x", "kept"),
        "candidate": _tanh("candidate_sum"),
        "h_new_0": Node(op="blend", input=("update", "h_prev_0", "candidate")),
    }
)

# Hochreiter and Schmidhuber 1997 with a forget gate (Gers et al. 2000), as in torch.nn.LSTM.
# The recipe of this name in NAS-Bench-NLP has a tanh in place of the output gate's sigmoid.
LSTM = Recipe(
    {
        "input_sum": _linear("x", "h_prev_0"),
        "input": _sigmoid("input_sum"),
        "forget_sum": _linear("x", "h_prev_0"),
        "forget": _sigmoid("forget_sum"),
        "candidate_sum": _linear("x", "h_prev_0"),
        "candidate": _tanh("candidate_sum"),
        "output_sum": _linear("x", "h_prev_0"),
        "output": _sigmoid("output_sum"),
        "forgotten": _product("forget", "h_prev_1"),
        "learnt": _product("input", "candidate"),
        "h_new_1": Node(op="elementwise_sum", input=("forgotten", "learnt")),
        "squashed": _tanh("h_new_1"),
        "h_new_0": _product("output", "squashed"),
    }
)

CELLS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
