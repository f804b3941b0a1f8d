"""The study's database: its address, and what is said where it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from archscout.errors import InputError

HIDDEN = "***"


@contextmanager
def database_errors(address: str) -> Iterator[None]:
    """Turn what goes wrong with a database into an `InputError` that names it."""
    try:
        yield
    except KeyError as error:
        raise InputError(
            f"study database {shown(address)} does not hold the run's study"
        ) from error
    except optuna.exceptions.StorageInternalError as error:
        raise InputError(_broken(address, error.__cause__ or error)) from error
    except (SQLAlchemyError, RuntimeError, ImportError, ValueError) as error:
        raise InputError(_broken(address, error)) from error


def check_storage(address: str) -> None:
    """Make sure that a database can be opened, by another process too.

    Raises:
        InputError: it cannot.
    """
    with database_errors(address):
        url = make_url(address)
        if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
            raise ValueError("it would be in memory, and lost at the end")
        optuna.storages.get_storage(address)


def shown(address: str) -> str:
    """The address with `***` for each password in it, for files and messages are passed on."""
    try:
        url = make_url(address)
    except SQLAlchemyError:
        return "at the given address"
    inside = [name for name in url.query if "pass" in name.lower()]
    if url.password is None and not inside:
        return address
    url = url.update_query_dict(dict.fromkeys(inside, HIDDEN))
    return url.render_as_string(hide_password=True).replace("%2A%2A%2A", HIDDEN)


def _broken(address: str, error: BaseException) -> str:
    reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
    return (
        f"study database {shown(address)}: {reason}; "
        "a database that no other process has locked, with room to write, is needed"
    )
