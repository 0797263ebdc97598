"""`plan` and `profiles`: commands that look without starting anything."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from dynkv.cli import view
from dynkv.cli.manual import below_options
from dynkv.cli.options import (
    DeviceOption,
    EngineOption,
    GpusOption,
    JsonOption,
    ModelOption,
    NameOption,
    NoLMCacheOption,
    ProfileArgument,
    SetOption,
)
from dynkv.cli.planned import locate, make_plan, overrides
from dynkv.cli.report import show_document
from dynkv.documents import encoded
from dynkv.profile.load import find, load, shipped, shipped_schema
from dynkv.profile.text import read_text
from dynkv.secrets import masked


def plan(
    profile: ProfileArgument,
    gpus: GpusOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    device: DeviceOption = None,
    name: NameOption = None,
    sets: SetOption = None,
    no_lmcache: NoLMCacheOption = False,
    as_json: JsonOption = False,
    as_shell: Annotated[
        bool, typer.Option("--shell", help="Print a script that starts the same thing by hand.")
    ] = False,
) -> None:
    """Show what `up` would start, without starting it."""
    planned = make_plan(*locate(profile, name, overrides(gpus, model, engine, device, no_lmcache, sets)))
    if as_json:
        print(encoded(planned.plan).decode())  # noqa: T201 (one document and nothing else)
    elif as_shell:
        from dynkv.render.shell import shell_script

        show_document(shell_script(planned.plan))
    else:
        view.show_plan(planned.plan)
        view.show_findings([*planned.errors, *planned.warnings])


profiles = typer.Typer(help="Shipped profiles: list them, print one, or print the JSON Schema.")


@profiles.callback(invoke_without_command=True)
def list_profiles(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the shipped profiles."""
    if context.invoked_subcommand is not None:
        return
    rows = [(name, load(name).profile.description) for name in shipped()]
    if as_json:
        print(json.dumps([{"name": name, "description": text} for name, text in rows]))  # noqa: T201
    else:
        view.show_profiles(rows)


@profiles.command("show", epilog=below_options("profiles show"))
def show_profile(profile: ProfileArgument) -> None:
    """Print a profile's YAML, without its secrets, as a starting point for your own."""
    show_document(masked(read_text(find(profile))))


@profiles.command("schema", epilog=below_options("profiles schema"))
def schema() -> None:
    """Print the JSON Schema of profiles, for editors."""
    print(shipped_schema())  # noqa: T201
