"""`doctor`: why a profile cannot run on this host, and what dead deployments have left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer

from dynkv.cli import view
from dynkv.cli.completion import profile_names
from dynkv.cli.options import (
    DeviceOption,
    EngineOption,
    GpusOption,
    JsonOption,
    ModelOption,
    NameOption,
    NoLMCacheOption,
    SetOption,
)
from dynkv.cli.planned import diagnose, locate, overrides
from dynkv.cli.report import say
from dynkv.cli.streams import persevere
from dynkv.doctor.catalogue import Severity
from dynkv.doctor.findings import Finding
from dynkv.documents import encoded
from dynkv.errors import PreflightRefused
from dynkv.home import LOT, home
from dynkv.locks import planning
from dynkv.park.files import LotPlace
from dynkv.plan.facts import Leftover, LeftoverKind


def doctor(
    profile: Annotated[
        str,
        typer.Argument(metavar="PROFILE", help="The profile to check the host for.", autocompletion=profile_names),
    ] = "agg",
    gpus: GpusOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    device: DeviceOption = None,
    name: NameOption = None,
    sets: SetOption = None,
    no_lmcache: NoLMCacheOption = False,
    clean: Annotated[
        bool,
        typer.Option("--clean", help="Instead, end and remove what deployments without a supervisor have left."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check whether this host can run a profile, as every `up` does before it starts anything."""
    if clean:
        _clean(as_json)
        return
    loaded, where = locate(profile, name, overrides(gpus, model, engine, device, no_lmcache, sets))
    found = diagnose(loaded, where)
    if as_json:
        print(encoded(found).decode())  # noqa: T201 (one document and nothing else)
    else:
        view.show_findings(found, stderr=False)
        say(verdict(loaded.name, found))
    if any(finding.is_error for finding in found):
        raise typer.Exit(PreflightRefused.exit_code)


def verdict(profile: str, found: Sequence[Finding]) -> str:
    """Whether the host can run the profile, and the number of findings."""
    counts = Counter(finding.severity for finding in found)
    if errors := counts[Severity.ERROR]:
        return f"{profile} cannot run on this host: {_counted(errors, 'error')}"
    warnings = counts[Severity.WARNING]
    return f"{profile} can run on this host" + (f", with {_counted(warnings, 'warning')}" if warnings else "")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _clean(as_json: bool) -> None:
    persevere()
    removed = [*_removed(), *_of_parker()]
    if as_json:
        print(encoded(removed).decode())  # noqa: T201 (one document and nothing else)
        return
    for left in removed:
        done = "ended" if left.kind is LeftoverKind.PROCESSES else "removed"
        for what in left.what:
            say(f"{left.deployment}: {done} {what}")
    if not removed:
        say("there was nothing to remove")


def _of_parker() -> list[Leftover]:
    """What a killed parker has left; its standbys have ended by themselves."""
    files = tuple(map(str, LotPlace(home()).tidy()))
    return [Leftover(LOT, LeftoverKind.FILES, files)] if files else []


def _removed() -> list[Leftover]:
    if not home().is_dir():
        return []
    import anyio

    from dynkv.supervisor.leftovers import remove_leftovers

    with planning(home()):  # no deployment can come up meanwhile
        return anyio.run(remove_leftovers, home())
