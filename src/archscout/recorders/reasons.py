"""Why something of a network cannot be recorded."""

from collections.abc import Callable, Iterator, Mapping

PACKED = "its batch is a packed sequence, in which inputs have no axis"


class Reasons(Mapping[str, str | None]):
    """For each field of a recording None, or why it cannot be had.

    Most take a run, so each is there only after it was asked for.
    """

    def __init__(self, of_fields: Mapping[str, Callable[[], str | None]]) -> None:
        self._of_fields = of_fields
        self._known: dict[str, str | None] = {}

    def __getitem__(self, name: str) -> str | None:
        if name not in self._known:
            self._known[name] = self._of_fields[name]()
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._of_fields)

    def __len__(self) -> int:
        return len(self._of_fields)


def why_no_axis(what: str, shape: tuple[int, ...]) -> str:
    """Why the inputs of a batch cannot be told apart in a tensor."""
    shown = f" of shape {shape}" if shape else ""
    return (
        f"{what}{shown} does not show which of its axes counts inputs and which their positions, "
        "when these are changed"
    )


def why_not_by_step(what: str, shape: tuple[int, ...], embedded: tuple[int, ...]) -> str | None:
    """Why something of this shape does not have the steps and inputs of the embeddings."""
    if len(shape) < 3 or shape[:2] != embedded[:2]:
        return (
            f"the steps and inputs of its {what}, of shape {shape}, are not those of its "
            f"embeddings, of shape {embedded}"
        )
    return None
