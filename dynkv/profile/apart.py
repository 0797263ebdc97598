"""Sections that are validated separately: the validator of one is built only when a profile has it.

pydantic makes it in Python, at each start; for all sections that takes longer than all else that is done to a profile.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from pydantic import GetCoreSchemaHandler, SerializationInfo
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
        if section.model_config.get("use_attribute_docstrings"):
            return whole(section)  # everything has to be described

        def check(given: Any) -> Section:
            # strict JSON mode, as for the whole
            return given if isinstance(given, section) else section.model_validate_json(json.dumps(given))

        return no_info_plain_validator_function(
            check, serialization=plain_serializer_function_ser_schema(_dumped, info_arg=True)
        )


def _dumped(section: Section, info: SerializationInfo) -> dict[str, Any]:
    return section.model_dump(
        mode=info.mode,
        exclude_unset=info.exclude_unset,
        exclude_defaults=info.exclude_defaults,
        exclude_none=info.exclude_none,
    )


Apart = Annotated[S, _Apart()]
