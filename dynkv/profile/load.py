"""The only reader of profiles: shipped names and paths, `extends`, and overrides from the command line."""

from __future__ import annotations

import difflib
import json
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError

from dynkv.errors import ProfileError, UnknownProfile, UsageError
from dynkv.profile.explain import explain
from dynkv.profile.model import Profile
from dynkv.profile.source import Mark, Source
from dynkv.profile.source import Path as KeyPath

_TOO_MUCH = (RecursionError, TypeError, AttributeError, ValueError, KeyError)
"""What ruamel.yaml and json raise for YAML that is valid, but beyond text, numbers, lists and mappings."""


@dataclass(frozen=True, slots=True)
class Override:
    """A value from the command line: `path` is where it goes, `option` how the person wrote it."""

    path: tuple[str, ...]
    value: Any
    option: str


@dataclass(frozen=True, slots=True)
class LoadedProfile:
    name: str
    profile: Profile
    source: Source

    def where(self, *path: str | int) -> Mark | None:
        """The line or option that a key comes from; None if it has its default."""
        return self.source.mark(path)


def shipped() -> dict[str, Path]:
    """The profiles that come with dynkv, by name."""
    package = Path(__file__).parents[1]
    folder = next(d for d in (package / "_profiles", package.parent / "profiles") if d.is_dir())
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find(name_or_path: str) -> Path:
    """The file of a shipped profile or of a path; raises UnknownProfile."""
    profiles = shipped()
    if name_or_path in profiles:
        return profiles[name_or_path]
    path = Path(os.path.expanduser(name_or_path))
    if os.path.isfile(path):
        return path
    near = difflib.get_close_matches(name_or_path, profiles, n=1)
    raise UnknownProfile(name_or_path, list(profiles), near[0] if near else None)


def load(name_or_path: str, overrides: Iterable[Override] = ()) -> LoadedProfile:
    """Read, merge and validate; raises ProfileError with the place of the first mistake."""
    path = find(name_or_path)
    source = _read_with_bases(path, seen=())
    for override in overrides:
        source = source.merged(_as_source(override))
    try:
        # strict JSON mode takes an array for a tuple and an integer for a float, and coerces nothing else
        profile = Profile.model_validate_json(json.dumps(source.data))
    except ValidationError as error:
        raise explain(error, source, path.name) from None
    except _TOO_MUCH:
        raise _beyond_profiles(path) from None
    return LoadedProfile(path.stem, profile, source)


def parse_set(text: str) -> Override:
    """`--set a.b=c`: the value is YAML, so numbers, lists and mappings can be given."""
    key, equals, value = text.partition("=")
    parts = tuple(key.strip().split("."))
    if not equals or not all(parts):
        raise UsageError(
            f"--set {text!r} is not of the form key.key=value", hint="for example --set frontend.port=8001"
        )
    try:
        parsed = _plain(_parse(value))
    except (YAMLError, *_TOO_MUCH):
        raise UsageError(f"--set {key}: the value {value!r} is not valid YAML", hint="quote it") from None
    return Override(parts, parsed, f"--set {text}")


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
    if path.resolve() in seen:
        raise ProfileError(
            f"{path.name} extends itself", where=str(mark), hint="break the circle", detail=mark.excerpt()
        )
    try:
        beside = path.parent / str(base)
        base_path = beside if os.path.isfile(beside) else find(str(base))
    except UnknownProfile as error:
        raise ProfileError(error.what, where=str(mark), hint=error.hint, detail=mark.excerpt()) from None
    return _read_with_bases(base_path, (*seen, path.resolve())).merged(source)


def _read(path: Path) -> Source:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"cannot read {path}: {error}", hint="give a readable YAML file") from None
    lines = text.splitlines()
    try:
        document = _parse(text)
    except MarkedYAMLError as error:
        raise _syntax_error(error, path, lines) from None
    except YAMLError as error:
        raise ProfileError(f"not valid YAML: {error}", where=str(path), hint="check the file") from None
    except _TOO_MUCH:
        raise _beyond_profiles(path) from None
    if document is None:
        return Source({}, {})
    if not isinstance(document, CommentedMap):
        raise ProfileError("a profile is a mapping of keys", where=str(path), hint="see `dynkv profiles show agg`")
    marks: dict[KeyPath, Mark] = {}
    try:
        _collect_marks(document, (), str(path), lines, marks)
        return Source(_plain(document), marks)
    except _TOO_MUCH:
        raise _beyond_profiles(path) from None


def _beyond_profiles(path: Path) -> ProfileError:
    what = "this is YAML that no profile can hold: a tag, a circle, a merge key, or too deep"
    return ProfileError(what, where=str(path), hint="write plain text, numbers, lists and mappings")


def _parse(text: str) -> Any:
    """Round-trip objects, which know their lines. An anchor may be given again, as YAML 1.2 allows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReusedAnchorWarning)
        return YAML(typ="rt", pure=True).load(text)


def _syntax_error(error: MarkedYAMLError, path: Path, lines: list[str]) -> ProfileError:
    at = error.problem_mark
    if at and at.line >= len(lines) and error.context_mark:
        at = error.context_mark  # something was begun there, and the file ends without its end
    line, column = (at.line, at.column) if at else (0, 0)
    mark = Mark(str(path), line + 1, column + 1, lines[line] if line < len(lines) else "")
    if isinstance(error, DuplicateKeyError):
        what = str(error.problem).split(" with value")[0].replace("found duplicate key", "duplicate key")
        return ProfileError(
            what, where=str(mark), hint="a key may stand once; remove one of them", detail=mark.excerpt()
        )
    problem = f"not valid YAML: {error.problem or error.context}"
    return ProfileError(problem, where=str(mark), hint="check indentation and quotes", detail=mark.excerpt())


def _collect_marks(node: Any, path: KeyPath, origin: str, lines: list[str], marks: dict[KeyPath, Mark]) -> None:
    if isinstance(node, CommentedMap):
        children = [(key, child, node.lc.key(key)) for key, child in node.items() if key in (node.lc.data or {})]
    elif isinstance(node, CommentedSeq):
        children = [(index, child, node.lc.item(index)) for index, child in enumerate(node)]
    else:
        return
    for key, child, (line, column) in children:
        marks[(*path, key)] = Mark(origin, line + 1, column + 1, lines[line] if line < len(lines) else "")
        _collect_marks(child, (*path, key), origin, lines, marks)


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {key if isinstance(key, str) else str(key): _plain(child) for key, child in node.items()}
    if isinstance(node, list):
        return [_plain(child) for child in node]
    if isinstance(node, date):
        return node.isoformat()  # YAML 1.2 knows no dates: it is text
    if node is None or isinstance(node, str | int | float):
        return node
    raise TypeError(f"a profile holds no {type(node).__name__}")
