"""`observe`: files for watching deployments with Prometheus and Grafana."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated

import typer

from dynkv.cli.completion import profile_names
from dynkv.cli.deployments import opened
from dynkv.cli.options import NameOption, SetOption
from dynkv.cli.planned import locate, make_plan
from dynkv.cli.report import say
from dynkv.cli.written import ForceOption, OutOption, write
from dynkv.errors import NotRunning, UsageError
from dynkv.home import deployments, home
from dynkv.observe.documents import documents
from dynkv.plan.model import Plan
from dynkv.profile.load import parse_set

_FILES = resources.files("dynkv.observe") / "files"
_BELOW = {"dashboards": "grafana/dashboards"}


def observe(
    out: OutOption,
    profile: Annotated[
        str | None,
        typer.Argument(
            metavar="[PROFILE]",
            help="The profile to watch, instead of what is running.",
            autocompletion=profile_names,
        ),
    ] = None,
    name: NameOption = None,
    sets: SetOption = None,
    force: ForceOption = False,
) -> None:
    """Write what Prometheus and Grafana need to watch the running deployments, or one of a profile.

    The files are prometheus.yml, rules with their tests, dashboards, and a Compose file that starts both on this host.
    """
    plans = _running() if profile is None else [_planned(profile, name, sets)]
    if not any(plan.metrics for plan in plans):
        names = ", ".join(plan.name for plan in plans)
        raise UsageError(f"metrics of {names} are not served", hint="metrics.enabled: true in the profile")
    texts = {**documents(plans), **_as_they_are(_FILES)}
    write(out, texts, force=force, for_all=True)  # Prometheus' container runs as nobody
    say(f"{len(texts)} files are in {out}, for {', '.join(plan.name for plan in plans if plan.metrics)}")
    say(f"start both with docker: (cd {out} && docker compose up -d)")
    say(f"or Prometheus by itself: prometheus --config.file={out / 'prometheus.yml'}")


def _planned(profile: str, name: str | None, sets: list[str] | None) -> Plan:
    return make_plan(*locate(profile, name, [parse_set(text) for text in sets or []])).plan


def _running() -> list[Plan]:
    """Plans of all deployments that are up, supervised or not. Raises NotRunning if there are none."""
    journals = (opened(name).journal for name in deployments(home()))
    plans = [it.plan for it in journals if it is not None and it.plan is not None and not it.stopped]
    if not plans:
        raise NotRunning()
    return plans


def _as_they_are(folder: Traversable, below: str = "") -> dict[str, str]:
    """Files that are the same for all deployments, by path."""
    found: dict[str, str] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found |= _as_they_are(entry, f"{_BELOW.get(entry.name, entry.name)}/")
        else:
            found[f"{below}{entry.name}"] = entry.read_text(encoding="utf-8")
    return found
