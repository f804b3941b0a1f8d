"""Hidden covariance (Serianni and Kalita 2023, section 4.2, equation 6)."""

from archscout.metrics.registry import metric
from archscout.metrics.shared.spectral_score import spectral_score
from archscout.tracing.quantities import Trace

_of_states = metric(
    needs={"hidden_states"},
    larger_is_better=True,
    source="Serianni and Kalita 2023, section 4.2",
    main_layer=1,
    undefined="hidden states do not vary or are not finite, or there is one unit only",
)


@_of_states
def hidden_covariance(trace: Trace) -> list[float]:
    """Spectral score of the correlations between the hidden units of a layer.

    The first hidden state entering each step (the zero state is in, the last state is not), one
    row a hidden unit, (H, B * T), of states (T, B, H). This is what the published numbers are.

    Examples:
        Two units that do not correlate score about -2, as many as there are.

        >>> import torch
        >>> from archscout.tracing import Trace
        >>> states = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])[:, None]
        >>> trace = Trace(0, torch.zeros(4, 1), hidden_states=[states])
        >>> [round(score, 4) for score in hidden_covariance(trace)]
        [-2.0]
    """
    return [spectral_score(states.flatten(0, 1).t()) for states in trace.hidden_states]


@_of_states
def hidden_covariance_of_inputs(trace: Trace) -> list[float]:
    """Spectral score of the correlations between the minibatch's inputs, as the paper words it.

    The states of `hidden_covariance` with one row an input, (B, T * H).
    """
    return [spectral_score(states.transpose(0, 1).flatten(1)) for states in trace.hidden_states]
