"""`plan`, `doctor` and `profiles`: looking without starting anything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import msgspec
import typer

from dynkv.children.tree import resident_bytes
from dynkv.cli import view
from dynkv.cli.completion import profile_names
from dynkv.cli.deployments import planned_ports
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
from dynkv.cli.report import say
from dynkv.doctor.checks import Finding, findings
from dynkv.doctor.host import LeftOver, inspect
from dynkv.errors import PreflightRefused, UsageError
from dynkv.home import Place, home, place
from dynkv.plan.build import build
from dynkv.plan.model import Plan
from dynkv.profile.load import LoadedProfile, Override, find, load, parse_set, shipped
from dynkv.profile.model import Profile
from dynkv.supervisor.journal import read_journal
from dynkv.supervisor.salvage import survivors


@dataclass(frozen=True, slots=True)
class Planned:
    loaded: LoadedProfile
    place: Place
    plan: Plan
    findings: list[Finding]

    def refuse_errors(self) -> None:
        """Raise PreflightRefused for the first finding that is an error."""
        for finding in self.findings:
            if finding.is_error:
                raise PreflightRefused(
                    finding.what, where=finding.where, hint=finding.hint, detail=finding.excerpt or f"  {finding.why}"
                )


def locate(profile: str, name: str | None, given: list[Override]) -> tuple[LoadedProfile, Place]:
    loaded = load(profile, given)
    return loaded, place(home(), name or loaded.name)


def make_plan(loaded: LoadedProfile, where: Place) -> Planned:
    """Look at the host and resolve the profile for it; raises PreflightRefused where that is impossible.

    What a dead supervisor of the same deployment left running counts as free: it is taken over or ended.
    """
    facts = inspect(loaded.profile, where.home, planned_ports(where.name), _left_over(where))
    plan = build(loaded.profile, facts, name=where.name, profile_name=loaded.name, home=str(where.home))
    return Planned(loaded, where, plan, findings(loaded, plan, facts))


def _left_over(where: Place) -> LeftOver:
    journal = read_journal(where.journal)
    if where.has_supervisor() or (journal is not None and journal.stopped):
        return LeftOver()
    own = survivors(journal, where)
    units = [] if journal is None else [journal.plan.unit(name) for name in journal.children]
    ports = {f"{unit.name}.{name}": port for unit in units for name, port in unit.ports.items()}
    return LeftOver(frozenset(process.pid for process in own), resident_bytes(own), ports)


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
    """Show what `up` would start, without starting it. Example: dynkv plan disagg --gpus 0,1"""
    planned = make_plan(*locate(profile, name, overrides(gpus, model, engine, device, no_lmcache, sets)))
    if as_json:
        print(msgspec.json.encode(planned.plan).decode())  # noqa: T201 (one document and nothing else)
    elif as_shell:
        from dynkv.render.shell import shell_script

        print(shell_script(planned.plan), end="")  # noqa: T201 (a script and nothing else)
    else:
        view.show_plan(planned.plan)
        view.show_findings(planned.findings)


def doctor(
    profile: Annotated[
        str,
        typer.Argument(metavar="[PROFILE]", help="The profile to check the host for.", autocompletion=profile_names),
    ] = "agg",
    gpus: GpusOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    device: DeviceOption = None,
    name: NameOption = None,
    sets: SetOption = None,
    no_lmcache: NoLMCacheOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check whether this host can run a profile. Example: dynkv doctor disagg --gpus 0,1"""
    planned = make_plan(*locate(profile, name, overrides(gpus, model, engine, device, no_lmcache, sets)))
    if as_json:
        print(msgspec.json.encode(planned.findings).decode())  # noqa: T201
    else:
        view.show_findings(planned.findings)
    if any(finding.is_error for finding in planned.findings):
        raise typer.Exit(PreflightRefused.exit_code)
    if not as_json:
        say(f"{planned.loaded.name} can run on this host")


profiles = typer.Typer(help="Shipped profiles: list them, print one, or print the JSON Schema.")


@profiles.callback(invoke_without_command=True)
def list_profiles(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the shipped profiles. Example: dynkv profiles"""
    if context.invoked_subcommand is not None:
        return
    rows = [(name, load(name).profile.description) for name in shipped()]
    if as_json:
        print(json.dumps([{"name": name, "description": text} for name, text in rows]))  # noqa: T201
    else:
        view.show_profiles(rows)


@profiles.command("show")
def show_profile(profile: ProfileArgument) -> None:
    """Print a profile's YAML, to begin one's own with. Example: dynkv profiles show agg > mine.yaml"""
    print(find(profile).read_text(), end="")  # noqa: T201


@profiles.command("schema")
def schema() -> None:
    """Print the JSON Schema of profiles, for editors. Example: dynkv profiles schema > dynkv.schema.json"""
    print(json.dumps(profile_schema(), indent=2))  # noqa: T201


def profile_schema() -> dict[str, object]:
    made = Profile.model_json_schema()
    made["properties"]["extends"] = {"type": "string", "description": "A shipped profile or a file to begin with."}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "dynkv profile", **made}


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
