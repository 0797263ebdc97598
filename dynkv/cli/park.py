"""`park`: keep imports parked on this host between deployments."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from dynkv.children.output import open_log, tail
from dynkv.cli.completion import profile_names
from dynkv.cli.inherited import finding_dynkv
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
from dynkv.cli.planned import locate, make_plan, overrides
from dynkv.cli.report import say
from dynkv.cli.streams import persevere
from dynkv.documents import encoded
from dynkv.errors import DynkvError, PreflightRefused, UsageError
from dynkv.home import home
from dynkv.park.around import around
from dynkv.park.files import LotPlace, in_memory, resident
from dynkv.park.lot import Lot, Parked, Stage
from dynkv.park.stamp import code
from dynkv.plan.model import Plan
from dynkv.plan.standby import why_none
from dynkv.profile.model import Profile
from dynkv.surroundings import of_supervisor

_PAUSE_S = 0.1
_OWN = frozenset(
    "HOME PATH LANG LC_ALL LD_LIBRARY_PATH PYTHONPATH PYTHONHOME PYTHONUSERBASE PYTHONNOUSERSITE TZ".split()
)
"""The environment variables that the parker keeps: none of them can hold a secret."""


class NothingParked(DynkvError):
    """Parking failed, or what was parked has ended."""

    exit_code = 3

    def __init__(self, why: str) -> None:
        super().__init__("nothing is parked", detail=f"  {why}" if why else "", hint="dynkv park PROFILE")


def park(
    profile: Annotated[
        str | None,
        typer.Argument(metavar="PROFILE", help="The profile whose imports are parked.", autocompletion=profile_names),
    ] = None,
    gpus: GpusOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    device: DeviceOption = None,
    name: NameOption = None,
    sets: SetOption = None,
    no_lmcache: NoLMCacheOption = False,
    stop: Annotated[bool, typer.Option("--stop", help="End what is parked.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Keep a profile's imports parked on this host, so that `up` after `down` takes seconds; or show what is parked.

    Parking takes memory, and the command says how much. It ends with `--stop`, or when the stack's installation
    changes. A running deployment uses what is parked exclusively; after `--stop` that ends with the deployment.
    """
    persevere()
    where = LotPlace(home())
    if stop:
        _stop(where)
    elif profile is not None:
        loaded, place = locate(profile, name, overrides(gpus, model, engine, device, no_lmcache, sets))
        place.create()
        _start(where, make_plan(loaded, place).plan, loaded.profile)
        _show(where, as_json)
    else:
        _show(where, as_json)


def _start(where: LotPlace, plan: Plan, profile: Profile) -> None:
    if where.is_held:
        raise PreflightRefused("something is parked already", hint="`dynkv park` shows it, `dynkv park --stop` ends it")
    if not plan.standbys:
        raise UsageError("this profile does not use standbys", hint=why_none(profile, has_workers=bool(plan.workers)))
    where.place.create()
    where.tidy()
    where.begin()  # the reason why an earlier parker ended is not about this one
    needed = sum(it.memory_bytes for it in plan.standbys)
    say(f"parking imports of {plan.python}, which take about {needed / 1e9:.1f} GB of memory")
    parked = tuple(Parked(it, plan.python) for it in plan.standbys)
    _spawn(where, Lot(str(where.place.home), code(), around(), _environment(), parked))
    try:
        _until_parked(where)
    except KeyboardInterrupt:
        _stop(where)
        raise


def _environment() -> dict[str, str]:
    return finding_dynkv({name: value for name, value in of_supervisor(os.environ).items() if name in _OWN})


def _spawn(where: LotPlace, lot: Lot) -> None:
    state, log = in_memory(lot), open_log(where.log)
    try:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "dynkv.park.parker", "--home", lot.home, "--lot-fd", str(state)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=lot.environ,
            cwd=where.directory,
            pass_fds=(state,),
            start_new_session=True,
        )
    except OSError as error:
        raise PreflightRefused(f"no parker can be started: {sys.executable}: {error.strerror}") from None
    finally:
        os.close(state)
        os.close(log)


def _until_parked(where: LotPlace) -> None:
    """Return when everything that can be parked is parked. Raises DynkvError if nothing can."""
    appeared_by = time.monotonic() + 10.0
    while True:
        lot = where.read()
        if lot is None and (where.why_ended or time.monotonic() > appeared_by):
            detail = where.why_ended or "\n".join(tail(where.log, 20)) or "its parker was killed"
            raise DynkvError("nothing was parked", where=str(where.place.logs), detail=f"  {detail}")
        if lot is not None and not any(it.stage is Stage.IMPORTING for it in lot.parked):
            stages = {it.stage for it in lot.parked}
            if Stage.MISSING not in stages or Stage.WAITING in stages:
                return
        time.sleep(_PAUSE_S)


def _stop(where: LotPlace) -> None:
    if not where.is_held:
        where.tidy()
        say("nothing is parked")
        return
    where.ask_to_stop()
    while where.is_held:
        lot = where.read()
        if lot is not None and lot.deployment:
            say(f"{lot.deployment} uses what is parked; it ends with {lot.deployment}")
            return
        time.sleep(_PAUSE_S)
    say("nothing is parked any more")


def _show(where: LotPlace, as_json: bool) -> None:
    lot = where.read()
    if lot is not None:
        lot = replace(lot, parked=tuple(map(_found, lot.parked)))
    if as_json:
        print(encoded(_document(where, lot)).decode())  # noqa: T201 (one document and nothing else)
        return
    if lot is None:
        where.tidy()
        raise NothingParked(where.why_ended)
    for it in lot.parked:
        say(_line(it))
    who = f"supervisor of {lot.deployment}" if lot.deployment else "parker"
    say(f"{who}: pid {lot.pid}, since {lot.started_at}")
    if where.is_to_stop:
        say(f"it ends with {lot.deployment}")
    if where.why_refused:
        say(where.why_refused)


def _found(it: Parked) -> Parked:
    """Without its process if that has ended since: nobody replaces it while a deployment uses what is parked."""
    if not it.pid or resident(it):
        return it
    return replace(it.gone(), detail="it has ended, and is imported again when no deployment uses what is parked")


def _line(it: Parked) -> str:
    modules = ", ".join(Path(name).name for name in it.standby.modules)
    memory = f" · {resident(it) / 1e9:.2f} GB" if it.pid else ""
    since = f" · since {it.since}" if it.since else ""
    return f"{it.standby.name}: {it.stage}{since}{memory} · {it.python} · {modules}" + (
        f" · {it.detail}" if it.detail else ""
    )


def _document(where: LotPlace, lot: Lot | None) -> dict[str, object]:
    parked = () if lot is None else lot.parked
    return {
        "pid": None if lot is None else lot.pid,
        "since": None if lot is None else lot.started_at,
        "deployment": (lot.deployment or None) if lot else None,
        "parked": [
            {
                "name": it.standby.name,
                "state": it.stage,
                "pid": it.pid or None,
                "since": it.since or None,
                "rss_bytes": resident(it) if it.pid else None,
                "python": it.python,
                "modules": it.standby.modules,
                "log": str(where.standby_log(it.standby.name)),
                "detail": it.detail,
            }
            for it in parked
        ],
        "ended": where.why_ended or None,
        "refused": where.why_refused or None,
    }
