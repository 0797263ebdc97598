"""Writing several files below a directory, for `observe` and `export`."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from dynkv.errors import UsageError

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="The directory to write to; created if missing.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite existing files that differ.")]
_READ = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
_ENTER = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def write(out: Path, texts: Mapping[str, str], *, force: bool, for_all: bool = False) -> None:
    """Write each text to its path below `out`; other files there stay. `for_all` makes them readable by every user,
    whatever the umask, as for a container that runs as another one.

    Writes nothing and raises UsageError if a file differs and may not be overwritten.
    """
    try:
        changed = [path for path, text in texts.items() if (out / path).exists() and (out / path).read_text() != text]
        if changed and not force:
            raise UsageError(
                f"{out / min(changed)} already exists and differs", hint="--force overwrites it, --out names another"
            )
        for path, text in texts.items():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_text(text, encoding="utf-8")
        if for_all:
            _open_up(out, texts)
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or out}: {error.strerror}", hint="--out names another"
        ) from None


def _open_up(out: Path, paths: Iterable[str]) -> None:
    """Let everyone read the files, and enter the directories between them and `out`, but not `out` itself."""
    for path in paths:
        _allow(out / path, _READ)
        for between in list(Path(path).parents)[:-1]:
            _allow(out / between, _READ | _ENTER)


def _allow(path: Path, bits: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode | bits != mode:
        path.chmod(mode | bits)
