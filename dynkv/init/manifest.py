"""A Kubernetes resource in a file: its parts, and their line numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from dynkv.errors import ScriptError

Path = tuple[str | int, ...]


class Manifest(Struct, frozen=True):
    data: Mapping[str, Any]
    lines: Mapping[Path, int]
    """Line of every key and item, from 1."""

    @property
    def kind(self) -> str:
        return str(self.data.get("kind", ""))

    @property
    def name(self) -> str:
        return str(Part(self, self.data).part("metadata").data.get("name", ""))

    @property
    def spec(self) -> Part:
        return Part(self, self.data).part("spec")


class Part(Struct, frozen=True):
    """A mapping within the manifest; a missing one is empty."""

    manifest: Manifest
    data: Mapping[str, Any]
    path: Path = ()

    @property
    def line(self) -> int:
        return self.line_of()

    def line_of(self, *path: str | int) -> int:
        """The line of what is there, or of what it would be in."""
        whole = (*self.path, *path)
        while whole and whole not in self.manifest.lines:
            whole = whole[:-1]
        return self.manifest.lines.get(whole, 1)

    def part(self, key: str) -> Part:
        """The mapping under a key. Raises ScriptError if it is something else."""
        return self._part(self.data.get(key), key)

    def parts(self, key: str) -> Iterator[Part]:
        """Items of a list; or of a mapping by name, each with its name."""
        found = self.data.get(key) or ()
        if isinstance(found, Mapping):
            for name, value in found.items():
                part = self._part(value, key, name)
                yield Part(self.manifest, {"name": name, **part.data}, part.path)
            return
        for number, value in enumerate(self.listed(key)):
            yield self._part(value, key, number)

    def listed(self, key: str) -> list[Any]:
        """The list under a key. Raises ScriptError if it is something else."""
        found = self.data.get(key) or []
        if not isinstance(found, list):
            raise ScriptError(f"{key} is not a list", self.line_of(key))
        return found

    def words(self, key: str) -> list[str]:
        return [str(word) for word in self.listed(key)]

    def text(self, key: str) -> str:
        found = self.data.get(key)
        return "" if found is None else str(found)

    def _part(self, value: Any, *path: str | int) -> Part:
        if value is not None and not isinstance(value, Mapping):
            raise ScriptError(f"{path[0]} is not a mapping", self.line_of(*path))
        return Part(self.manifest, value or {}, (*self.path, *path))
