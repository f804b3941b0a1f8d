"""How fast a training learns."""

import pytest

from archscout.training.electra.pretraining_settings import PretrainingSettings
from archscout.training.schedule import rate_factor


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        (0, 0.01),
        (5, 0.95 * (0.01 + 0.99 * 0.5)),
        (10, 0.9),  # the end of the warm-up: on the line that would be one at the start
        (50, 0.5),
        (99, 0.01),  # the last step
        (100, 0.0),
        (101, 0.0),
    ],
)
def test_the_linear_schedule(step: int, factor: float) -> None:
    settings = PretrainingSettings(steps=100)
    assert (settings.schedule, settings.warm_up) == ("linear", 0.1)
    assert rate_factor(settings, step / settings.steps) == pytest.approx(factor)
