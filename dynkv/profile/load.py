"""The only reader of profiles: shipped names and paths, `extends`, and overrides from the command line."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct
from pydantic import ValidationError

from dynkv.documents import is_text
from dynkv.errors import ProfileError, UnknownProfile, UsageError
from dynkv.interrupts import held_back
from dynkv.profile.document import DEPTH_MAX, Unfit, parse
from dynkv.profile.explain import explain
from dynkv.profile.model import Profile
from dynkv.profile.source import Mark, Source, short
from dynkv.profile.source import Path as KeyPath
from dynkv.profile.text import read_text

_BASES_MAX = 16
_LINE = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
"""Line breaks. Source: YAML 1.1, which ruamel.yaml follows here."""


class Override(Struct, frozen=True):
    """A value from the command line: `path` is the key, `option` how the person wrote it."""

    path: tuple[str, ...]
    value: Any
    option: str


class LoadedProfile(Struct, frozen=True):
    name: str
    profile: Profile
    source: Source

    def where(self, *path: str | int) -> Mark | None:
        """The line or option that a key comes from; None if it has its default."""
        return self.source.mark(path)


def shipped() -> dict[str, Path]:
    """The profiles that come with dynkv, by name."""
    return {path.stem: path for path in sorted(_folder().glob("*.yaml"))}


def shipped_schema() -> str:
    """The JSON Schema of profiles, which is made from the models in advance: collecting their descriptions takes
    long."""
    return (_folder() / "schema.json").read_text(encoding="utf-8").rstrip("\n")


def _folder() -> Path:
    package = Path(__file__).parents[1]
    return next(d for d in (package / "_profiles", package.parent / "profiles") if d.is_dir())


def find(name_or_path: str) -> Path:
    """The file of a shipped profile or at a path. Raises UnknownProfile."""
    profiles = shipped()
    if name_or_path in profiles:
        return profiles[name_or_path]
    path = Path(os.path.expanduser(name_or_path))
    if os.path.exists(path):
        return path
    name = short(name_or_path)
    near = difflib.get_close_matches(name, profiles, n=1)
    raise UnknownProfile(name, list(profiles), near[0] if near else None)


def load(name_or_path: str, overrides: Iterable[Override] = ()) -> LoadedProfile:
    """Read, merge and validate a profile. Raises ProfileError with the place of the first mistake."""
    path = find(name_or_path)
    source = _read_with_bases(path, seen=())
    for override in overrides:
        _refuse_bytes(override)
        source = source.merged(_as_source(override))
    return LoadedProfile(path.stem, validate(source, path.name), source)


def validate(source: Source, name: str) -> Profile:
    """The profile in a source, which errors call `name`. Raises ProfileError with the place of the first mistake."""
    try:
        with held_back():
            # strict JSON mode accepts an array for a tuple and an integer for a float, and coerces nothing else
            return Profile.model_validate_json(json.dumps(source.data))
    except ValidationError as error:
        raise explain(error, source, name) from None


def parse_set(text: str) -> Override:
    """Parse `--set a.b=c`: the value is YAML, so it can be a number, list or mapping."""
    key, equals, value = text.partition("=")
    parts = tuple(key.strip().split("."))
    if not equals or not all(parts):
        raise UsageError(
            f"--set {short(text)!r} is not of the form key.key=value", hint="for example --set frontend.port=8001"
        )
    if len(parts) > DEPTH_MAX:
        raise UsageError(f"--set names a key of {len(parts)} parts", hint="no key of a profile is that deep")
    try:
        parsed = parse(value).data
    except Unfit as unfit:
        what = f"--set {key}: the value {short(value)!r} is not valid YAML"
        if not unfit.what.startswith("not valid YAML"):
            what = f"--set {key}: {unfit.what}"
        raise UsageError(what, hint="quote it") from None
    return Override(parts, parsed, f"--set {short(text)}")


def _refuse_bytes(override: Override) -> None:
    """Raise UsageError for undecodable bytes, which cannot be part of a profile."""
    if not is_text(json.dumps(override.value, ensure_ascii=False)):
        raise UsageError(
            f"{override.option} holds bytes that are not valid UTF-8",
            hint="use a link with another name for the path",
        )


def _as_source(override: Override) -> Source:
    data = override.value
    for key in reversed(override.path):
        data = {key: data}
    mark = Mark(override.option)
    marks: dict[KeyPath, Mark] = {override.path[:n]: mark for n in range(1, len(override.path) + 1)}
    return Source(data, marks)


def _read_with_bases(path: Path, seen: tuple[Path, ...]) -> Source:
    source = _read(path)
    base = source.data.pop("extends", None)
    if base is None:
        return source
    mark = source.marks.pop(("extends",))
    wrong = None
    if path.resolve() in seen:
        wrong = f"{path.name} extends itself", "break the circle"
    elif len(seen) == _BASES_MAX:
        wrong = f"more than {_BASES_MAX} profiles extend one another", "combine some of them"
    if wrong is not None:
        raise ProfileError(wrong[0], where=str(mark), hint=wrong[1], detail=mark.excerpt())
    try:
        beside = path.parent / str(base)
        base_path = beside if os.path.isfile(beside) else find(str(base))
    except UnknownProfile as error:
        raise ProfileError(error.what, where=str(mark), hint=error.hint, detail=mark.excerpt()) from None
    return _read_with_bases(base_path, (*seen, path.resolve())).merged(source)


def _read(path: Path) -> Source:
    text = read_text(path)
    lines = _LINE.split(text)

    def mark(line: int, column: int) -> Mark:
        return Mark(str(path), line + 1, column + 1, lines[line] if line < len(lines) else "")

    try:
        document = parse(text)
    except Unfit as unfit:
        at = None if unfit.place is None else mark(*unfit.place)
        where, detail = (str(path), "") if at is None else (str(at), at.excerpt())
        raise ProfileError(unfit.what, where=where, hint=unfit.hint, detail=detail) from None
    if document.data is None:
        return Source({}, {})
    if not isinstance(document.data, dict):
        raise ProfileError("a profile must be a mapping of keys", where=str(path), hint="see `dynkv profiles show agg`")
    return Source(document.data, {at: mark(*place) for at, place in document.places.items()})
