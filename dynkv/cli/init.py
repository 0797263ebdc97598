"""`init`: a profile that fits this host and a model, or that does what a launch script does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from dynkv.cli.options import DeviceOption
from dynkv.cli.planned import locate, look, overrides
from dynkv.cli.report import note, say, show_document
from dynkv.errors import ProfileError, ScriptError, UsageError
from dynkv.init.advice import DEFAULT_MODEL, Wish, advice
from dynkv.init.draft import Draft
from dynkv.init.script import converted
from dynkv.profile.load import validate
from dynkv.profile.source import Source
from dynkv.profile.text import read_text

_DEFAULT = "dynkv.yaml"
_PRINTED = Path("-")


def init(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- ARGUMENTS]", help="With --from-script: the arguments of the script."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to write; `-` prints it. dynkv.yaml if omitted."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
    model: Annotated[
        str | None, typer.Option("--model", metavar="PATH_OR_ID", help="A directory, a Hugging Face id, or `tiny`.")
    ] = None,
    device: DeviceOption = None,
    from_script: Annotated[
        Path | None,
        typer.Option("--from-script", metavar="FILE", help="A launch script of Dynamo, which is read but never run."),
    ] = None,
) -> None:
    """Write a first profile: for this host and a model, or from a launch script.

    Asks nothing. Each value has its reason next to it. Names what a script does and no profile can express.
    """
    if from_script is not None:
        _convert(from_script, arguments or [], out, force=force, names_more=bool(model or device))
        return
    if arguments:
        raise UsageError(f"{arguments[0]!r} is not an option", hint="arguments belong to a script: --from-script FILE")
    draft = _for_this_host(Wish(model, device), out)
    validated(draft)
    write(draft.text(["By `dynkv init`, for this host."]), out or Path(_DEFAULT), force=force)


def _for_this_host(wish: Wish, out: Path | None) -> Draft:
    name = (out or Path(_DEFAULT)).stem if out != _PRINTED else Path(_DEFAULT).stem
    model = wish.model or DEFAULT_MODEL
    loaded, where = locate("agg", name, overrides(None, model, None, wish.device, False, None))
    return advice(wish, look(loaded, where))


def _convert(script: Path, arguments: list[str], out: Path | None, *, force: bool, names_more: bool) -> None:
    if names_more:
        raise UsageError("with --from-script the script determines model and device", hint="change the profile")
    try:
        found = converted(_script_text(script), str(script), arguments, os.environ)
        validated(found.draft)
    except ScriptError as error:
        raise error.of(str(script)) from None
    write(found.text(script.name), out or Path(f"{script.stem}.yaml"), force=force)
    for remark in found.left_out:
        note(f"{script.name}:{remark.line}: {remark.text}")


def _script_text(script: Path) -> str:
    try:
        return read_text(script)
    except ProfileError as error:
        raise UsageError(error.what, where=error.where, hint="give a bash script that can be read") from None


def validated(draft: Draft) -> None:
    """Raise ProfileError if the profile is invalid."""
    validate(Source(draft.data(), {}), "the resulting profile")


def write(text: str, out: Path, *, force: bool) -> None:
    """Write the profile. Raises UsageError if the file exists."""
    if out == _PRINTED:
        show_document(text)
        return
    try:
        with out.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{out} already exists", hint="--force overwrites it, --out names another") from None
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}", hint="choose another file: --out") from None
    say(f"{out} is written: `dynkv doctor {out}` checks this host for it, `dynkv up {out}` starts it")
