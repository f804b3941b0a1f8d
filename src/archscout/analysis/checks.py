"""Checks of numbers that a user gives."""

from __future__ import annotations

from archscout.errors import InputError


def check_count(name: str, value: int) -> int:
    """The number, if it counts something."""
    if value < 1:
        raise InputError(f"{name} is {value}; a positive whole number is accepted")
    return value
