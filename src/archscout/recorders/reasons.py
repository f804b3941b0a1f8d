"""Why something of a network cannot be recorded."""

from collections.abc import Callable, Iterable, Mapping

from torch import nn


class Reasons(dict[str, str | None]):
    """For each field of a recording None, or why it cannot be had.

    Some take a run, so they are there only after they were asked for.
    """

    def __init__(
        self, reasons: Mapping[str, str | None], of_runs: Mapping[str, Callable[[], str | None]]
    ) -> None:
        super().__init__(reasons)
        self._of_runs = of_runs

    def __missing__(self, name: str) -> str | None:
        reason = self[name] = self._of_runs[name]()
        return reason


def why_no_axis(shape: tuple[int, ...]) -> str:
    """Why the gradients of inputs cannot be told apart in a linear map's tensor."""
    return f"a linear map reads or returns a tensor of shape {shape}, in which inputs have no axis"


def why_no_weights(weights: Iterable[object]) -> str | None:
    """Why the weights of linear maps, as the maps use them, have no gradients of their own."""
    if all(isinstance(weight, nn.Parameter) for weight in weights):
        return None
    return (
        "the weight of one of its linear maps is computed from other parameters (as by weight "
        "normalisation), and is none itself"
    )


def why_not_by_step(what: str, shape: tuple[int, ...], embedded: tuple[int, ...]) -> str | None:
    """Why something of this shape does not have the steps and inputs of the embeddings."""
    if len(shape) < 3 or shape[:2] != embedded[:2]:
        return (
            f"the steps and inputs of its {what}, of shape {shape}, are not those of its "
            f"embeddings, of shape {embedded}"
        )
    return None
