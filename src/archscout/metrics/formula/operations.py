"""What a formula is made of: kinds of values, the quantities of a trace, and operations on them.

Everything is computed in float64. Shapes: T time steps, B inputs in the minibatch, and widths of
the network.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archscout.metrics.shared.finite import is_finite
from archscout.rounding import rounding
from archscout.tracing.quantities import Trace

Values = tuple[Tensor, ...]
Quantities = Mapping[str, Sequence[Tensor]]

STABILISER = 1e-5
"""What `log_det` adds to the diagonal, as the spectral score does."""
SMALLEST = 1e-12
"""The least magnitude of which `log` is taken; what is no larger counts as zero."""


class Undefined(ArithmeticError):
    """An operation has no value for these numbers, such as an eigenvalue of what is not finite."""


@dataclass(frozen=True)
class ValueType:
    """What kind of value a formula has, as far as it is the same for all networks.

    Attributes:
        over: what there is one value for each of, such as `layer`; empty for one value alone.
        shape: names of the value's axes; none for a number. Axes of one name are equally long.
    """

    over: str
    shape: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether it is one number for the whole network."""
        return not self.over and not self.shape

    @property
    def is_square(self) -> bool:
        """Whether it is a matrix with as many rows as columns."""
        return len(self.shape) == 2 and self.shape[0] == self.shape[1]

    def __str__(self) -> str:
        what = "a number"
        if self.shape:
            what = f"an array ({', '.join(self.shape)}{',' if len(self.shape) == 1 else ''})"
        return f"{what} for each {self.over}" if self.over else what


@dataclass(frozen=True)
class Operation:
    """A function of one or two values.

    Attributes:
        name: as written; of functions of two values the sign between them.
        arity: how many values it takes.
        result: the type of its result from those of its arguments, None where it takes no such.
        function: of one tensor an argument; where `joins`, of the numbers (n,) of all n layers.
        accepts: what it takes, in words.
        summary: what it gives, in words.
        joins: whether it joins the numbers of all layers (or weights, ...) into one.
    """

    name: str
    arity: int
    result: Callable[..., ValueType | None]
    function: Callable[..., Tensor]
    accepts: str
    summary: str
    joins: bool = False

    def apply(self, *arguments: Values) -> Values:
        """The values of the result.

        Raises:
            Undefined: it has none; where there are two arguments, also where their shapes differ.
        """
        if self.joins:
            return (self.function(torch.stack(arguments[0])),)
        if self.arity == 2:
            shapes = [[value.shape for value in argument] for argument in arguments]
            if shapes[0] != shapes[1]:
                raise Undefined(f"{self.name} of different shapes")
        return tuple(self.function(*values) for values in zip(*arguments, strict=True))


TERMINALS: Mapping[str, ValueType] = {
    "hidden_states": ValueType("layer", ("T", "B", "H")),
    "hidden_state_gradients": ValueType("layer", ("T", "B", "H")),
    "activations": ValueType("activation", ("T", "B", "A")),
    "weights": ValueType("weight", ("outputs", "inputs")),
    "weight_gradients": ValueType("weight", ("outputs", "inputs")),
    "output": ValueType("", ("T", "B", "E")),
    "embedding_gradient": ValueType("", ("T", "B", "E")),
    "projections": ValueType("projection", ("T", "B", "C")),
    "softmaxes": ValueType("layer", ("B·heads·queries", "keys")),
    "parameters": ValueType(""),
}
"""The quantities of a trace that a formula can name, with their types."""


def quantities(trace: Trace, names: Sequence[str]) -> dict[str, Values]:
    """Quantities of a trace as formulas take them, in float64.

    Args:
        trace: that has them.
        names: of `TERMINALS`.

    Returns:
        By name one tensor a layer (or weight, ...), shaped as its type says.
    """
    found: dict[str, Values] = {}
    for name in names:
        value = getattr(trace, name)
        if name == "parameters":
            tensors = [torch.tensor(float(value), dtype=torch.float64)]
        elif name == "weight_gradients":
            tensors = [entry.gradient for entry in value]
        elif isinstance(value, Tensor):
            tensors = [value]
        else:
            tensors = list(value or ())
        found[name] = tuple(_shaped(tensor, TERMINALS[name]).double() for tensor in tensors)
    return found


def _shaped(tensor: Tensor, kind: ValueType) -> Tensor:
    """As many axes as the type has: those in the middle, or of softmaxes the first ones, as one."""
    if len(kind.shape) == 3 and tensor.dim() > 1:
        return tensor.reshape(len(tensor), -1, tensor.shape[-1])
    if len(kind.shape) == 2 and tensor.dim() != 2:
        return tensor.reshape(-1, tensor.shape[-1])
    return tensor


def _rows(tensor: Tensor) -> Tensor:
    """(..., columns) as a matrix."""
    return tensor if tensor.dim() == 2 else tensor.flatten(0, -2)


def _finite(tensor: Tensor) -> Tensor:
    # LAPACK raises, or never ends, where a number is not finite.
    if not is_finite(tensor):
        raise Undefined("not finite")
    return tensor


def _logarithm(x: Tensor) -> Tensor:
    return x.abs().clamp_min(SMALLEST).log()


def _standardised(centred: Tensor, mean: Tensor, count: int, squares: Tensor) -> Tensor:
    """Centred numbers over their deviation; zero where they do not vary."""
    deviation = (squares / count).sqrt()
    # The quantities come from networks in float32.
    still = rounding(mean.abs(), torch.float32)
    return torch.where(deviation <= still, 0.0, centred / deviation)


def _normalised(x: Tensor) -> Tensor:
    mean = x.mean()
    centred = x - mean
    return _standardised(centred, mean, x.numel(), centred.square().sum())


def _gram(x: Tensor) -> Tensor:
    rows = _rows(x)
    return rows.t() @ rows


def _covariance(x: Tensor) -> Tensor:
    rows = _rows(x)
    centred = rows - rows.mean(0)
    return centred.t() @ centred / len(rows)


def _correlation(x: Tensor) -> Tensor:
    rows = _rows(x)
    mean = rows.mean(0)
    centred = rows - mean
    unit = _standardised(centred, mean, len(rows), centred.square().sum(0))
    return unit.t() @ unit / len(rows)


def _lagged(x: Tensor) -> Tensor:
    if len(x) < 2:
        raise Undefined("one time step has no difference")
    return x[1:] - x[:-1]


def _by_input(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(0, 1)


def _singular_values(x: Tensor) -> Tensor:
    rows = _finite(_rows(x))
    tall = rows if len(rows) >= rows.shape[1] else rows.t()
    # Of the Gram matrix: a decomposition of tens of columns in place of hundreds of rows.
    squares: Tensor = torch.linalg.eigvalsh(_finite(tall.t() @ tall))
    return squares.clamp_min(0).sqrt().flip(0)


def _shares(x: Tensor) -> Tensor:
    sizes = x.abs()
    return sizes / sizes.sum()


def _entropy(x: Tensor) -> Tensor:
    shares = _shares(x)
    logarithms: Tensor = torch.special.xlogy(shares, shares)
    return -logarithms.sum()


def _effective_rank(x: Tensor) -> Tensor:
    return _entropy(_singular_values(x)).exp()


def _participation_ratio(x: Tensor) -> Tensor:
    return 1 / _shares(_singular_values(x).square()).square().sum()


def _log_determinant(x: Tensor) -> Tensor:
    stabilised = _finite(x) + STABILISER * torch.eye(len(x), dtype=x.dtype, device=x.device)
    determinant: Tensor = torch.linalg.slogdet(stabilised).logabsdet
    return determinant


def _largest_eigenvalue(x: Tensor) -> Tensor:
    eigenvalues: Tensor = torch.linalg.eigvalsh(_finite(x))
    return eigenvalues[-1]


def _share_of_zeros(x: Tensor) -> Tensor:
    # Exact zeros alone would tell rounding errors, which differ between machines.
    return (x.abs() <= SMALLEST).double().mean()


def _later_steps(kind: ValueType) -> ValueType | None:
    steps = kind.shape and kind.shape[0]
    return ValueType(kind.over, ("T−1", *kind.shape[1:])) if steps == "T" else None


def _inputs_as_columns(kind: ValueType) -> ValueType | None:
    if len(kind.shape) != 3:
        return None
    steps, inputs, width = kind.shape
    return ValueType(kind.over, (f"{steps}·{width}", inputs))


def _spectrum(kind: ValueType) -> ValueType | None:
    if len(kind.shape) < 2:
        return None
    return ValueType(kind.over, (f"spectrum of {'×'.join(kind.shape)}",))


def _taking(
    accepts: str,
    result: Callable[..., ValueType | None],
    *operations: tuple[str, Callable[..., Tensor], str],
    arity: int = 1,
    joins: bool = False,
) -> Iterator[Operation]:
    """Operations, each a name, a function and a summary, that take and give the same types."""
    for name, function, summary in operations:
        yield Operation(name, arity, result, function, accepts, summary, joins)


_MATRIX = "an array of at least two axes"
_SEQUENCE = "an array (T, B, width), such as hidden_states"

OPERATIONS: tuple[Operation, ...] = (
    *_taking(
        "two values of the same kind",
        lambda left, right: left if left == right else None,
        ("+", torch.add, "their sum"),
        ("-", torch.sub, "their difference"),
        ("*", torch.mul, "their product, entry by entry"),
        arity=2,
    ),
    *_taking(
        "two numbers of the same kind",
        lambda left, right: left if left == right and not left.shape else None,
        ("/", torch.div, "their quotient"),
        arity=2,
    ),
    *_taking(
        "any value",
        lambda kind: kind,
        ("-", torch.neg, "its negative"),
        ("abs", torch.abs, "magnitudes"),
        ("log", _logarithm, "logarithms of the magnitudes, from 1e-12 on"),
        ("sqrt", lambda x: x.abs().sqrt(), "square roots of the magnitudes"),
        ("square", torch.square, "squares"),
        ("sign", torch.sign, "signs: −1, 0 or 1"),
        ("tanh", torch.tanh, "hyperbolic tangents"),
    ),
    *_taking(
        "an array",
        lambda kind: kind if kind.shape else None,
        ("normalise", _normalised, "mean 0, standard deviation 1"),
    ),
    *_taking(
        _MATRIX,
        lambda kind: ValueType(kind.over, kind.shape[-1:] * 2) if len(kind.shape) > 1 else None,
        ("gram", _gram, "products of its columns"),
        ("covariance", _covariance, "that of its columns"),
        ("correlation", _correlation, "that of its columns; 0 where one does not vary"),
    ),
    *_taking(
        f"{_SEQUENCE}, taken once",
        _later_steps,
        ("lagged_difference", _lagged, "each time step less the one before"),
    ),
    *_taking(
        _SEQUENCE,
        _inputs_as_columns,
        ("by_input", _by_input, "one column for each input of the minibatch"),
    ),
    *_taking(_MATRIX, _spectrum, ("singular_values", _singular_values, "largest first")),
    *_taking(
        "an array",
        lambda kind: ValueType(kind.over) if kind.shape else None,
        ("sum", torch.sum, "of its entries"),
        ("mean", torch.mean, "of its entries"),
        ("l1", lambda x: x.abs().sum(), "sum of the magnitudes"),
        ("l2", torch.linalg.vector_norm, "root of the sum of the squares"),
        ("std", lambda x: x.std(unbiased=False), "standard deviation of its entries"),
        ("share_of_zeros", _share_of_zeros, "share of its entries of magnitude 1e-12 or less"),
        ("entropy", _entropy, "of its magnitudes, as shares of their sum; nats"),
    ),
    *_taking(
        _MATRIX,
        lambda kind: ValueType(kind.over) if len(kind.shape) > 1 else None,
        ("nuclear_norm", lambda x: _singular_values(x).sum(), "sum of its singular values"),
        ("effective_rank", _effective_rank, "exponential of its singular values' entropy"),
        (
            "participation_ratio",
            _participation_ratio,
            "(Σ s²)² / Σ s⁴ of its singular values s",
        ),
    ),
    *_taking(
        "a square matrix, such as a gram, covariance or correlation",
        lambda kind: ValueType(kind.over) if kind.is_square else None,
        ("log_det", _log_determinant, "log |det| after 1e-5 is added to the diagonal"),
        ("trace", torch.trace, "sum of the diagonal"),
        ("max_eigenvalue", _largest_eigenvalue, "largest eigenvalue"),
    ),
    *_taking(
        "one number for each layer, weight or activation",
        lambda kind: ValueType("") if kind.over and not kind.shape else None,
        ("sum", torch.sum, "over layers"),
        ("mean", torch.mean, "over layers"),
        ("first", lambda x: x[0], "that of the first layer"),
        ("last", lambda x: x[-1], "that of the last layer"),
        ("min", torch.amin, "smallest over layers"),
        ("max", torch.amax, "largest over layers"),
        joins=True,
    ),
)
"""Every operation; of several with one name, the first that takes the arguments is meant."""


def named(name: str, arity: int) -> list[Operation]:
    """The operations of that name and number of arguments."""
    return [entry for entry in OPERATIONS if (entry.name, entry.arity) == (name, arity)]


def resolve(name: str, *arguments: ValueType) -> tuple[Operation, ValueType] | None:
    """Which operation a name means for arguments of these types, and the type of its result."""
    for entry in named(name, len(arguments)):
        result = entry.result(*arguments)
        if result is not None:
            return entry, result
    return None
