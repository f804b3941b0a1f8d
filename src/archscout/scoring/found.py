"""What a module was taken for when it was scored."""

from dataclasses import dataclass

from archscout.recorders.modules import ModuleRecorder
from archscout.recording import Kind, Recorder, kind_of
from archscout.tracing.quantities import Objective


@dataclass(frozen=True)
class Found:
    """What was found in a network, and how its batch was read.

    Attributes:
        kind: whether metrics take it for a transformer.
        layers: of a transformer its layers, of another module its linear maps, see
            `tracing.Trace.depth`.
        heads: of a transformer's attention, where they were looked at.
        linear_maps: how many there are; a stack of experts holds one for each.
        share: of all parameters, how many are in their weights.
        objective: what gradients were taken of.
        batch_first: whether batches are (B, T, ...); None where no metric asked for it.
        embedding: the name of the module that embeds the tokens; None where none does, or no
            metric asked for it.
    """

    kind: Kind
    layers: int
    heads: int | None
    linear_maps: int
    share: float
    objective: Objective
    batch_first: bool | None = None
    embedding: str | None = None

    def __str__(self) -> str:
        taken = "a transformer" if self.kind == "transformer" else "no transformer"
        layers = f"{self.layers} layers" if self.kind == "transformer" else f"depth {self.layers}"
        heads = f" of {self.heads} heads" if self.heads else ""
        lines = [
            f"taken for {taken}: {layers}{heads}",
            f"linear maps: {self.linear_maps}, their weights {self.share:.0%} of all parameters",
            f"gradients of: {self.objective}",
        ]
        if self.batch_first is not None:
            lines.append(f"batch: {'(B, T)' if self.batch_first else '(T, B)'}")
        if self.embedding is not None:
            lines.append(f"tokens are embedded by: {self.embedding}")
        return "\n".join(lines)


def found_in(recorder: Recorder, objective: Objective) -> Found:
    """What a recorder has found in its network so far."""
    weights = recorder.linear_parameters()
    known = recorder.known if isinstance(recorder, ModuleRecorder) else {}
    return Found(
        kind_of(recorder),
        recorder.depth,
        known.get("heads"),
        known.get("maps", len(weights)),
        sum(weight.numel() for weight in weights) / max(1, recorder.parameters),
        objective,
        known.get("batch_first"),
        known.get("embedding"),
    )
