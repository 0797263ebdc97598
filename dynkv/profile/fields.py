"""What the sections of a profile are built from: the strict base model and the types of single fields."""

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
            "a flag stands alone, as --enable-lora, or --no-enable-lora for false; where an option takes it as its "
            "value, put it in quotes, spelled as the program spells it"
        )
        raise PydanticCustomError("word", "{given} is not a word", {"given": str(value).lower(), "hint": hint})
    return _number_to_text(value)


Word = Annotated[str, BeforeValidator(_word, json_schema_input_type=str | float)]
"""One of a command line. A number is written as text; `true` is refused: after a flag it would be one word too many,
and programs that take it as a value disagree on how to spell it."""


def _check_name(name: str) -> str:
    if not name or "=" in name or "\0" in name:
        raise PydanticCustomError("env", f"{name!r} cannot be a variable of an environment")
    return name


def _check_value(value: str) -> str:
    if "\0" in value:
        raise PydanticCustomError("env", "a variable of an environment holds no NUL character")
    return value


EnvValue = Annotated[
    str, BeforeValidator(_number_to_text, json_schema_input_type=str | float), AfterValidator(_check_value)
]
"""A number is written as text; `true` is refused, since programs disagree on how to spell it."""
EnvName = Annotated[str, AfterValidator(_check_name)]
ENV_MAX = 1000
"""Variables that one `env` may have."""
Environment = Annotated[dict[EnvName, EnvValue], Field(max_length=ENV_MAX)]
"""What a kernel takes for variables of a process. Source: environ(7)."""


def _check_address(given: str) -> str:
    """As the frontend takes it: `localhost` and the brackets of a URL mean nothing to it."""
    bare = given[1:-1] if given.startswith("[") and given.endswith("]") else given
    try:
        address = ip_address("127.0.0.1" if bare.lower() == "localhost" else bare)
    except ValueError:
        address = None
    if address is None or address.is_multicast or "%" in bare:
        hint = "write 127.0.0.1 for this host alone, 0.0.0.0 for all of its addresses, or one of them; a name is none"
        raise PydanticCustomError("address", "{given} is no address to listen on", {"given": repr(given), "hint": hint})
    return str((address.ipv4_mapped if address.version == 6 else None) or address)


Address = Annotated[str, AfterValidator(_check_address)]
"""Of IPv4 or IPv6, in its shortest form."""
Port = Annotated[int, Field(ge=1, le=65535)]
SystemPort = Annotated[int, Field(ge=1, le=32767)]
Gibibytes = Annotated[float, Field(ge=0.001, le=1e9, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, le=1)]
PositiveInt = Annotated[int, Field(gt=0, le=10**9)]
Count = Annotated[int, Field(ge=1, le=256)]
"""Of workers on one machine."""
CountOrNone = Annotated[int, Field(ge=0, le=256)]
"""Of workers on one machine of several."""
_YEAR_S = 31_536_000
Seconds = Annotated[float, Field(ge=0, le=_YEAR_S, allow_inf_nan=False)]
WholeSeconds = Annotated[int, Field(ge=0, le=_YEAR_S)]
PositiveSeconds = Annotated[float, Field(gt=0, le=_YEAR_S, allow_inf_nan=False)]
Period = Annotated[float, Field(ge=0.01, le=_YEAR_S, allow_inf_nan=False)]
"""From one look to the next, in seconds: what looks all the time does nothing else."""
