"""Where stacks are, and the package lists they are made from."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from dynkv.owned import read_own
from dynkv.stacks.choice import Kind

_FOLDER = "_stack"
"""Directory in DYNKV_HOME; no deployment's name can begin like this."""
_LIST_MAX = 1024 * 1024


class State(StrEnum):
    ABSENT = "absent"
    CURRENT = "current"
    OUTDATED = "outdated"
    """Installed from another list than this dynkv's."""
    UNFINISHED = "unfinished"


class StackPlace(Struct, frozen=True):
    """An environment with one stack. `make install` leaves the same mark in its own, but an empty one."""

    kind: Kind
    directory: Path
    is_private: bool = False
    """Whether it is in DYNKV_HOME, which nobody else may read."""

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    @property
    def mark(self) -> Path:
        """The list it was installed from; exists once everything is installed."""
        return self.directory / f".installed-{self.kind}"

    @property
    def state(self) -> State:
        if not self.python.exists():
            return State.UNFINISHED if self.directory.exists() else State.ABSENT
        try:
            installed = read_own(self.mark, _LIST_MAX)
        except OSError:
            return State.UNFINISHED
        return State.CURRENT if installed in (b"", pinned(self.kind).encode()) else State.OUTDATED

    @property
    def is_installed(self) -> bool:
        return self.state in (State.CURRENT, State.OUTDATED)


def own_place(home: Path, kind: Kind) -> StackPlace:
    """The default place of a stack."""
    return StackPlace(kind, home / _FOLDER / kind, is_private=True)


def first_installed(home: Path, kinds: Iterable[Kind]) -> StackPlace | None:
    places = (own_place(home, kind) for kind in kinds)
    return next((place for place in places if place.is_installed), None)


def pinned(name: str) -> str:
    """The list of that name with exact versions: from requirements/ of a checkout, or from the wheel."""
    return listed(name).read_text(encoding="utf-8")


def listed(name: str) -> Path:
    package = Path(__file__).parents[1]
    folders = (package / "_requirements", package.parent / "requirements")
    return next(folder for folder in folders if folder.is_dir()) / f"{name}.txt"
