"""What settings of any training have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archscout.errors import InputError, nearest

Rate = Annotated[float, Field(ge=0, lt=1)]


class Settings(BaseModel):
    """Settings that cannot be changed, and whose mistakes are the user's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def resized(self, **changes: Any) -> Self:
        """These settings with some changed; None leaves one as it is.

        Raises:
            InputError: there is no such setting, or a value cannot be used.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        return self.read({**self.model_dump(), **given})

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """Settings by name, as a file holds them.

        Raises:
            InputError: there is no such setting, or a value cannot be used.
        """
        try:
            return cls(**stored)
        except ValidationError as error:
            problem = error.errors()[0]
            name = ".".join(map(str, problem["loc"]))
            raise InputError(
                f"training setting {name} is {problem['input']!r}: {cls._accepted(problem)}"
            ) from error

    @classmethod
    def _accepted(cls, problem: Mapping[str, Any]) -> str:
        if problem["type"] == "extra_forbidden":
            hint = nearest(str(problem["loc"][-1]), cls.model_fields)
            return f"there is none of that name; accepted: {', '.join(cls.model_fields)}{hint}"
        message: str = problem["msg"]
        return message[0].lower() + message[1:]


S = TypeVar("S", bound=Settings)


class Preset(NamedTuple, Generic[S]):
    """A recipe under a name.

    Attributes:
        description: what it is for, for help texts.
        settings: the recipe.
        scale: the name of the space's scale that it is for.
    """

    description: str
    settings: S
    scale: str


def find_preset(presets: Mapping[str, Preset[S]], name: str) -> Preset[S]:
    """The preset of that name."""
    if name not in presets:
        hint = nearest(name, presets)
        raise InputError(f"unknown preset {name!r}{hint}; accepted: {', '.join(presets)}")
    return presets[name]
