"""Sections that are validated separately: the validator of one is built only when a profile has it, and some are
imported only then.

pydantic makes it in Python, at each start; for all sections that takes longer than all else that is done to a profile.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import GetCoreSchemaHandler, SerializationInfo, TypeAdapter
from pydantic_core.core_schema import (
    CoreSchema,
    no_info_plain_validator_function,
    plain_serializer_function_ser_schema,
)

from dynkv.profile.fields import Section

S = TypeVar("S", bound=Section)


class _Apart:
    """A section with the same errors, locations and values as one that is validated with the whole profile."""

    def __get_pydantic_core_schema__(self, section: type[Section], whole: GetCoreSchemaHandler) -> CoreSchema:
        if _is_described():
            return whole(section)

        def check(given: Any) -> Section:
            # strict JSON mode, as for the whole
            return given if isinstance(given, section) else section.model_validate_json(json.dumps(given))

        return _by(check)


def _dumped(section: Section, info: SerializationInfo) -> dict[str, Any]:
    return section.model_dump(
        mode=info.mode,
        exclude_unset=info.exclude_unset,
        exclude_defaults=info.exclude_defaults,
        exclude_none=info.exclude_none,
    )


Apart = Annotated[S, _Apart()]


def later(kind: Callable[[], Any]) -> Any:
    """The kind of section that `kind` imports when a profile has one, with the same errors, locations and values."""
    return Annotated[Any, _Later(cache(kind))]


class _Later:
    def __init__(self, kind: Callable[[], Any]) -> None:
        self._kind = kind
        self._adapter = cache(lambda: TypeAdapter[Section](kind()))

    def __get_pydantic_core_schema__(self, _: object, whole: GetCoreSchemaHandler) -> CoreSchema:
        return whole.generate_schema(self._kind()) if _is_described() else _by(self._check)

    def _check(self, given: Any) -> Section:
        return given if isinstance(given, Section) else self._adapter().validate_json(json.dumps(given))


def _is_described() -> bool:
    """Whether the JSON Schema is made, in which everything has to be described."""
    return bool(Section.model_config.get("use_attribute_docstrings"))


def _by(check: Callable[[Any], Section]) -> CoreSchema:
    return no_info_plain_validator_function(
        check, serialization=plain_serializer_function_ser_schema(_dumped, info_arg=True)
    )
