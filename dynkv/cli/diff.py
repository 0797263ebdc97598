"""`diff`: what a profile would change in the running deployment."""

from __future__ import annotations

from dynkv.cli import view
from dynkv.cli.converge import changes
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
from dynkv.documents import encoded


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
    """Show what a profile would change in the running deployment, without changing it.

    Lists which units would be kept, restarted, started or stopped, and why.
    """
    loaded, where = locate(profile, name, overrides(gpus, model, engine, device, no_lmcache, sets))
    found = changes(find(where.name), make_plan(loaded, where))
    if as_json:
        print(encoded(found).decode())  # noqa: T201 (one document and nothing else)
    else:
        view.show_difference(found)
