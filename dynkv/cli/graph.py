"""`import`: a profile equivalent to a DynamoGraphDeployment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from dynkv.cli.init import validated, write
from dynkv.cli.report import note
from dynkv.errors import ProfileError, ScriptError, UsageError
from dynkv.init.graph import GRAPH, converted_graph
from dynkv.init.manifest import Manifest
from dynkv.profile.document import Unfit, parse
from dynkv.profile.text import read_text

_BETWEEN = re.compile(r"---(?:\s|$)")


def import_graph(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Its manifest, including the LMCacheEngine if there is one.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Where to write; `-` prints it. The deployment's NAME.yaml if omitted."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write a profile equivalent to a DynamoGraphDeployment of Dynamo's vLLM backend.

    Understands both API versions, nvidia.com/v1alpha1 and v1beta1. Names what has no counterpart, by line.
    """
    try:
        manifests = list(manifests_of(_text(file)))
        found = converted_graph(manifests, file.name)
        validated(found.draft)
    except ScriptError as error:
        raise error.of(str(file)) from None
    name = next(it.name for it in manifests if it.kind == GRAPH)
    write(found.text(file.name, "import"), out or Path(f"{name or file.stem}.yaml"), force=force)
    for remark in found.left_out:
        note(f"{file.name}:{remark.line}: {remark.text}")


def _text(file: Path) -> str:
    try:
        return read_text(file)
    except ProfileError as error:
        raise UsageError(error.what, where=error.where, hint="give a manifest that can be read") from None


def manifests_of(text: str) -> Iterator[Manifest]:
    """Each document that is a mapping. Raises ScriptError if the text is not YAML."""
    lines = text.splitlines(keepends=True)
    starts = [0, *(number for number, line in enumerate(lines) if _BETWEEN.match(line)), len(lines)]
    for start, end in pairwise(starts):
        try:
            document = parse("".join(lines[start:end]))
        except Unfit as unfit:
            line = start + (unfit.place[0] if unfit.place else 0) + 1
            raise ScriptError(unfit.what, line, hint=unfit.hint) from None
        if isinstance(document.data, dict):
            yield Manifest(document.data, {path: start + place[0] + 1 for path, place in document.places.items()})
