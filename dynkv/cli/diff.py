"""`diff`: what a profile would change of the deployment that runs."""

from __future__ import annotations

from dynkv import __version__
from dynkv.cli import view
from dynkv.cli.deployments import find
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
from dynkv.cli.status import read_status
from dynkv.documents import encoded
from dynkv.errors import DynkvError
from dynkv.plan.difference import difference


def diff(
    profile: ProfileArgument,
    gpus: GpusOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    device: DeviceOption = None,
    name: NameOption = None,
    sets: SetOption = None,
    no_lmcache: NoLMCacheOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a profile would change of the deployment that runs, without changing it.

    Which units would be kept, restarted, started or stopped, and why.
    """
    loaded, where = locate(profile, name, overrides(gpus, model, engine, device, no_lmcache, sets))
    deployment = find(where.name)
    supervisor = read_status(deployment).supervisor
    if deployment.journal is None or deployment.journal.plan is None:
        raise DynkvError(f"what was planned for {where.name!r} cannot be read", where=str(where.journal))
    is_same_version = supervisor is not None and supervisor.version == __version__
    found = difference(deployment.journal.plan, make_plan(loaded, where).plan, is_same_version=is_same_version)
    if as_json:
        print(encoded(found).decode())  # noqa: T201 (one document and nothing else)
    else:
        view.show_difference(found)
