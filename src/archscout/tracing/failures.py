"""What is said of a pass that a network does not survive."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from archscout.errors import InputError


class PassFailed(InputError):
    """A pass that nothing else shares has failed.

    Attributes:
        needs: the quantities that it was for.
    """

    def __init__(self, reason: str, needs: Collection[str]) -> None:
        super().__init__(reason)
        self.needs = frozenset(needs)


@contextmanager
def failing(needs: Collection[str], reason: str) -> Iterator[None]:
    """Say of a pass for these quantities why it failed, in words, whatever the network raised.

    Raises:
        PassFailed: with the network's own error as its cause.
    """
    try:
        yield
    except InputError as error:
        raise PassFailed(str(error), needs) from error
    except Exception as error:
        raise PassFailed(reason, needs) from error
