"""What holds for the tests and for the examples in docstrings alike."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from archscout import spaces
from archscout.metrics import registry
from archscout.training.by_space import trainers


@pytest.fixture(autouse=True)
def _registrations_end_with_the_test() -> Iterator[None]:
    with patch.dict(registry._METRICS), patch.dict(spaces.available()), patch.dict(trainers()):
        yield
