"""Writing several files below a directory, for `observe` and `export`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from dynkv.errors import UsageError

OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="The directory to write to; created if missing.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite existing files that differ.")]


def write(out: Path, texts: Mapping[str, str], *, force: bool) -> None:
    """Write each text to its path below `out`; other files there stay.

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
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or out}: {error.strerror}", hint="--out names another"
        ) from None
