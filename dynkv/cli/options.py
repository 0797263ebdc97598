"""Arguments and options shared by several verbs."""

from __future__ import annotations

from typing import Annotated

import typer

from dynkv.cli.completion import deployment_names, profile_names
from dynkv.cli.plain import seconds_in
from dynkv.profile.engines import ENGINES


def seconds(text: str | float) -> float:
    """Parse a `--timeout`: a number of seconds, also `inf`. Raises BadParameter for anything else."""
    given = seconds_in(text)
    if given is None:
        raise typer.BadParameter(f"{text!r} is not a number of seconds, 0 or more")
    return given


ProfileArgument = Annotated[
    str,
    typer.Argument(
        metavar="PROFILE",
        help="A shipped profile (see `dynkv profiles`) or the path of a YAML file.",
        autocompletion=profile_names,
    ),
]
NameArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME", help="The deployment; not needed when there is only one.", autocompletion=deployment_names
    ),
]
NameOption = Annotated[str | None, typer.Option("--name", help="The deployment's name; the profile's if omitted.")]
NameOfOption = Annotated[
    str | None,
    typer.Option("--name", help="The deployment; not needed when there is only one.", autocompletion=deployment_names),
]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Start from: 10m ago, 1h30m, 2026-01-31T12:00.")
]
GpusOption = Annotated[
    str | None,
    typer.Option("--gpus", metavar="0,1", help="GPUs by index, UUID or MIG id; in disagg decode comes first."),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="PATH_OR_ID", help="A directory, a Hugging Face id, or `tiny`.")
]
EngineOption = Annotated[str | None, typer.Option("--engine", metavar="|".join(ENGINES), help="What the workers run.")]
DeviceOption = Annotated[str | None, typer.Option("--device", metavar="cuda|cpu", help="What the workers run on.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override one key, for example --set frontend.port=8001. Repeatable."
    ),
]
NoLMCacheOption = Annotated[bool, typer.Option("--no-lmcache", help="Run without the sidecar.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
