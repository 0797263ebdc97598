"""The basis of a profile's sections: the strict base model, and the types of single fields."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """A part of a profile: unknown keys are errors, and nothing is coerced (`no` is the string "no")."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


def _number_to_text(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


def _word(value: Any) -> Any:
    if isinstance(value, bool):
        hint = (
            "a flag stands alone, such as --enable-lora, or --no-enable-lora for false; if an option takes it as its "
            "value, put it in quotes, spelled as the program spells it"
        )
        raise PydanticCustomError("word", "{given} is not a word", {"given": str(value).lower(), "hint": hint})
    return _number_to_text(value)


Word = Annotated[str, BeforeValidator(_word, json_schema_input_type=str | float)]
"""A word of a command line. Numbers become text; `true` is refused: after a flag it would be an extra word, and
programs that take it as a value spell it differently."""


def _check_name(name: str) -> str:
    if not name or "=" in name or "\0" in name:
        raise PydanticCustomError("env", f"{name!r} cannot be an environment variable")
    return name


def _check_value(value: str) -> str:
    if "\0" in value:
        raise PydanticCustomError("env", "an environment variable cannot contain a NUL character")
    return value


EnvValue = Annotated[
    str, BeforeValidator(_number_to_text, json_schema_input_type=str | float), AfterValidator(_check_value)
]
"""The value of a variable. Numbers become text; `true` is refused, since programs spell it differently."""
EnvName = Annotated[str, AfterValidator(_check_name)]
ENV_MAX = 1000
"""Most variables in one `env`."""
Environment = Annotated[dict[EnvName, EnvValue], Field(max_length=ENV_MAX)]
"""Variables that the kernel accepts for a process. Source: environ(7)."""


def _check_address(given: str) -> str:
    """The address as the frontend accepts it, which knows neither `localhost` nor a URL's brackets."""
    bare = given[1:-1] if given.startswith("[") and given.endswith("]") else given
    try:
        address = ip_address("127.0.0.1" if bare.lower() == "localhost" else bare)
    except ValueError:
        address = None
    if address is None or address.is_multicast or "%" in bare:
        hint = "write 127.0.0.1 for this host alone, 0.0.0.0 for all of its addresses, or one of them, but no name"
        raise PydanticCustomError(
            "address", "{given} is not an address to listen on", {"given": repr(given), "hint": hint}
        )
    return str((address.ipv4_mapped if address.version == 6 else None) or address)


Address = Annotated[str, AfterValidator(_check_address)]
"""An IPv4 or IPv6 address in its shortest form."""
Port = Annotated[int, Field(ge=1, le=65535)]
SystemPort = Annotated[int, Field(ge=1, le=32767)]
Gibibytes = Annotated[float, Field(ge=0.001, le=1e9, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, le=1)]
PositiveInt = Annotated[int, Field(gt=0, le=10**9)]
Count = Annotated[int, Field(ge=1, le=256)]
"""A number of workers on one machine."""
CountOrNone = Annotated[int, Field(ge=0, le=256)]
"""A number of workers on one machine of several."""
_YEAR_S = 31_536_000
Seconds = Annotated[float, Field(ge=0, le=_YEAR_S, allow_inf_nan=False)]
WholeSeconds = Annotated[int, Field(ge=0, le=_YEAR_S)]
PositiveSeconds = Annotated[float, Field(gt=0, le=_YEAR_S, allow_inf_nan=False)]
Period = Annotated[float, Field(ge=0.01, le=_YEAR_S, allow_inf_nan=False)]
"""Seconds between two checks: one that never pauses would leave no time for anything else."""
