"""What the shell offers after Tab: current deployments, units, roles and profiles.

typer recognises the arguments by their names, `ctx` and `incomplete`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer

from dynkv.cli.deployments import find, opened
from dynkv.errors import DynkvError
from dynkv.home import deployments, home
from dynkv.plan.model import Unit


def deployment_names(incomplete: str) -> list[str]:
    return [name for name in deployments(home()) if name.startswith(incomplete)]


def unit_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Units of the deployment in --name, or of the only one, without those already on the line."""
    given = ctx.params.get("units") or []
    return [unit.name for unit in _units(ctx) if unit.name.startswith(incomplete) and unit.name not in given]


def log_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Units, and everything else that has a log."""
    try:
        logs = find(ctx.params.get("name"), past=True).place.logs
    except DynkvError:
        return []
    return sorted(path.stem for path in logs.glob("*.log") if path.stem.startswith(incomplete))


def role_sizes(ctx: typer.Context, incomplete: str) -> list[str]:
    """`ROLE=N`, from one to the planned number."""
    roles = [str(unit.role) for unit in _units(ctx) if unit.role.is_worker]
    offered = [f"{role}={n}" for role in dict.fromkeys(roles) for n in range(1, roles.count(role) + 1)]
    return [size for size in offered if size.startswith(incomplete)]


def profile_names(incomplete: str) -> list[str]:
    """Shipped profiles and YAML files."""
    from dynkv.profile.load import shipped

    return [name for name in shipped() if name.startswith(incomplete)] + list(_files(incomplete))


def _files(incomplete: str) -> Iterator[str]:
    directory, _, name = incomplete.rpartition("/")
    base = Path(f"{directory}/" if directory or incomplete.startswith("/") else ".")
    prefix = incomplete[: len(incomplete) - len(name)]
    try:
        found = sorted(base.iterdir())
    except OSError:
        return
    for path in found:
        if not path.name.startswith(name) or (path.name.startswith(".") and not name):
            continue
        if path.suffix in (".yaml", ".yml"):
            yield f"{prefix}{path.name}"
        elif path.is_dir():
            yield f"{prefix}{path.name}/"


def _units(ctx: typer.Context) -> tuple[Unit, ...]:
    name = ctx.params.get("name")
    try:
        deployment = opened(name) if name else find(None, past=True)
    except DynkvError:
        return ()
    return deployment.journal.units if deployment.journal else ()
