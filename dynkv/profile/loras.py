"""LoRA adapters that are served in addition to the model."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from dynkv.profile.fields import Section

_SCHEMES = ("file", "hf", "s3")
"""URL schemes of adapters. Source: ai-dynamo 1.6.1, `LoRADownloader`."""
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.+)")


def _check_source(path: str) -> str:
    found = _URI.fullmatch(path)
    if found and found[1] not in _SCHEMES:
        given = "a directory, file://, hf:// or s3://"
        raise PydanticCustomError(
            "lora",
            "a LoRA adapter cannot be read from {scheme}://: give {given}",
            {
                "scheme": found[1],
                "given": given,
            },
        )
    return path


class Lora(Section):
    """An adapter, which clients request by its name, like a model."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")]
    """The name that clients use."""
    path: Annotated[str, Field(min_length=1), AfterValidator(_check_source)]
    """A directory with adapter_config.json, or the address that a worker downloads it from: `hf://ORG/NAME`,
    `s3://BUCKET/PATH`."""

    @property
    def is_local(self) -> bool:
        return not self.path.startswith(("hf://", "s3://"))

    @property
    def directory(self) -> str:
        """The directory of a local adapter, as in the profile."""
        return self.path.removeprefix("file://")


def _check_names(loras: list[Lora]) -> list[Lora]:
    for name, count in Counter(lora.name for lora in loras).items():
        if count > 1:
            raise PydanticCustomError("lora", "two LoRA adapters have the name {name}", {"name": name})
    return loras


Loras = Annotated[list[Lora], AfterValidator(_check_names)]
