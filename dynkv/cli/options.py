"""Options that several verbs share, and what they override in a profile."""

from __future__ import annotations

from typing import Annotated

import typer

from dynkv.errors import UsageError
from dynkv.profile.load import Override, parse_set

ProfileArgument = Annotated[
    str, typer.Argument(metavar="PROFILE", help="A shipped profile (see `dynkv profiles`) or the path of a YAML file.")
]
NameArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="The deployment; not needed when there is only one.")
]
NameOption = Annotated[str | None, typer.Option("--name", help="The deployment's name; the profile's when left out.")]
GpusOption = Annotated[
    str | None,
    typer.Option("--gpus", metavar="0,1", help="GPUs by index, UUID or MIG id; in disagg decode comes first."),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="PATH_OR_ID", help="A directory, a Hugging Face id, or `tiny`.")
]
EngineOption = Annotated[str | None, typer.Option("--engine", metavar="vllm|mocker", help="What the workers run.")]
DeviceOption = Annotated[str | None, typer.Option("--device", metavar="cuda|cpu", help="What the workers run on.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one key, as in --set frontend.port=8001. Repeatable."),
]
NoLMCacheOption = Annotated[bool, typer.Option("--no-lmcache", help="Leave the sidecar out.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def overrides(
    gpus: str | None,
    model: str | None,
    engine: str | None,
    device: str | None,
    no_lmcache: bool,
    sets: list[str] | None,
) -> list[Override]:
    """In the order in which they win: --set first, so that an option of its own has the last word."""
    found = [parse_set(text) for text in sets or []]
    if gpus is not None:
        found.append(Override(("workers", "gpus"), _gpu_list(gpus), f"--gpus {gpus}"))
    if model is not None:
        found.append(Override(("model", "path"), model, f"--model {model}"))
    if engine is not None:
        found.append(Override(("engine",), engine, f"--engine {engine}"))
    if device is not None:
        found.append(Override(("device",), device, f"--device {device}"))
    if no_lmcache:
        found.append(Override(("lmcache", "enabled"), False, "--no-lmcache"))
    return found


def _gpu_list(text: str) -> list[int | str] | str:
    if text.strip() == "all":
        return "all"
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UsageError(f"--gpus {text!r} has an empty item", hint="for example --gpus 0,1")
    return [int(part) if part.isdigit() else part for part in parts]
