"""Inspecting the host once, before planning. The only part of doctor/ that does so."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from dynkv.doctor.lora_files import lora_facts
from dynkv.doctor.model_files import cached_model_files, has_params, model_files
from dynkv.doctor.options import worker_options
from dynkv.doctor.stack import Interpreter, look_into, outdated_stack, python_for
from dynkv.errors import PreflightRefused
from dynkv.host.cgroups import cpus_worth
from dynkv.host.described import other_people
from dynkv.host.disks import free_bytes, held_bytes, room_bytes, write_problem
from dynkv.host.gpus import look
from dynkv.host.limits import open_files_max
from dynkv.host.memory import memory_available_bytes
from dynkv.host.pidfd import pidfd_problem
from dynkv.host.sockets import holders, listen_problem, loopback_problem
from dynkv.host.subreaper import subreaper_problem
from dynkv.host.whole_proc import proc_problem
from dynkv.instack import SCRIPTS
from dynkv.park.files import parked_bytes
from dynkv.plan.environment import (
    dropped,
    given_environment,
    handed_on_as_secrets,
    handed_on_as_text,
    unit_environment,
)
from dynkv.plan.facts import HostFacts, Leftover, LoraFacts, ModelFacts, ModelFiles, PathFacts
from dynkv.plan.gpus import Driver
from dynkv.plan.model import Role
from dynkv.plan.paths import expand, user_of
from dynkv.plan.served_model import TINY
from dynkv.profile.arguments import value_of
from dynkv.profile.engines import ENGINES
from dynkv.profile.environment import FORBIDDEN_ENV
from dynkv.profile.model import Profile
from dynkv.stacks.choice import kinds_for

_HARMFUL = sorted(FORBIDDEN_ENV.keys() - {"CUDA_VISIBLE_DEVICES"})
"""Variables that a person may have set and no child gets, except for the one that limits the visible GPUs."""


class LeftOver(Struct, frozen=True):
    """What a dead supervisor of the same deployment left running."""

    pids: frozenset[int] = frozenset()
    resident_bytes: int = 0
    ports: dict[str, int] = field(default_factory=dict)
    """Ports by `unit.name`."""
    supervisor_pid: int | None = None
    """Pid of the current supervisor, whose metrics port is planned again."""


def inspect(
    profile: Profile,
    home: Path,
    planned_ports: dict[int, str],
    left_over: LeftOver | None = None,
    leftovers: tuple[Leftover, ...] = (),
) -> HostFacts:
    """Inspect the host. `planned_ports` are those of other deployments, in use at the moment or not.

    `left_over` processes of the same deployment count as free: they will be taken over or ended. `leftovers` are those
    of all deployments.

    Raises PreflightRefused if the interpreter does not work, the model has no absolute path, or the address of the
    frontend or the metrics does not belong to this host.
    """
    _check_addresses(profile)
    python = python_for(profile, home)
    interpreter = look_into(python) if profile.python or kinds_for(profile) else Interpreter({})
    own = left_over or LeftOver()
    model = model_facts(profile.model.path)
    paths = path_facts(profile)
    l2 = _l2_directories(profile, home, paths)
    return replace(
        _of_this_host(own, has_gpus=profile.topology != "none"),
        taken_ports={**holders(own.pids | {own.supervisor_pid or 0}), **planned_ports},
        parked_bytes=parked_bytes(home),
        python=python,
        python_options=interpreter.options,
        packages=interpreter.packages,
        outdated_stack=outdated_stack(python, home),
        worker_options=worker_options(profile, python, interpreter, home),
        model=model,
        model_files=_model_files(profile, model),
        loras=_loras(profile, home, paths),
        paths=paths,
        unwritable={name: problem for name, path in l2.items() if (problem := write_problem(path)) is not None},
        l2_room_bytes={name: room for name, path in l2.items() if (room := room_bytes(path)) is not None},
        l2_held_bytes={name: held for name, path in l2.items() if (held := held_bytes(path)) is not None},
        home_free_bytes=free_bytes(home),
        leftovers=leftovers,
    )


def _check_addresses(profile: Profile) -> None:
    host = profile.frontend.host
    if profile.topology != "none" and (problem := loopback_problem()):
        raise PreflightRefused(
            f"this host's loopback does not work: {problem}",
            hint="`ip link set lo up`, or use a network namespace in which it is up",
        )
    if profile.topology != "none" and (problem := listen_problem(host)):
        raise PreflightRefused(
            f"the frontend cannot listen on {host}: {problem}",
            hint="set `frontend.host` to an address that `ip address` lists, or to 127.0.0.1",
        )
    if profile.metrics.enabled and (problem := listen_problem(profile.metrics.host)):
        raise PreflightRefused(
            f"metrics cannot be served on {profile.metrics.host}: {problem}",
            hint="set `metrics.host` to an address that `ip address` lists, or to 127.0.0.1",
        )


def _of_this_host(own: LeftOver, *, has_gpus: bool) -> HostFacts:
    """Facts that do not depend on what will run; of GPUs and their driver only if a plan can have any."""
    gpus, driver = look() if has_gpus else ((), Driver())
    cpus = tuple(sorted(os.sched_getaffinity(0)))
    worth = cpus_worth(len(cpus))
    return HostFacts(
        gpus=gpus,
        driver=driver,
        cpus=cpus,
        cpus_worth=worth if worth < len(cpus) else None,
        memory_available_bytes=memory_available_bytes() + own.resident_bytes,
        kept_ports=own.ports,
        is_taken_over=bool(own.pids),
        environ=handed_on_as_text(os.environ),
        secret_names=handed_on_as_secrets(os.environ),
        ignored_environ=tuple(name for name in _HARMFUL if name in os.environ),
        dropped_environ=dropped(os.environ),
        scripts_directory=str(SCRIPTS),
        shm_free_bytes=free_bytes(Path("/dev/shm")),
        hugepages_free_bytes=_hugepages_free_bytes(),
        open_files_max=open_files_max(),
        is_wsl="microsoft" in platform.release().lower(),
        other_users=other_people(),
        pidfd_problem=pidfd_problem() or "",
        proc_problem=proc_problem() or "",
        subreaper_problem=subreaper_problem() or "",
    )


def path_facts(profile: Profile) -> PathFacts:
    """Starting points of the paths in a profile that the plan expands."""
    written = (*_l2_paths(profile), *(lora.directory for lora in profile.model.loras if lora.is_local))
    users = {"", *(user for path in written if (user := user_of(path)) is not None)}
    homes = {user: home for user in sorted(users) if (home := _home_of(user)) is not None}
    return PathFacts(_working_directory(), homes)


def _home_of(user: str) -> str | None:
    written = f"~{user}"
    found = os.path.expanduser(written)
    return None if found == written else found


def _working_directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:  # the directory was removed
        return None


def model_facts(path: str) -> ModelFacts:
    """The model. A directory, or a path that looks like one, is local; anything else is an id that a hub resolves.

    Raises PreflightRefused for a relative path if there is no working directory.
    """
    if path == TINY:
        return ModelFacts(is_local=True, has_config=True)
    local = Path(os.path.expanduser(path))
    if not (path.startswith(("/", ".", "~")) or os.path.exists(local)):
        return ModelFacts(is_local=False, has_config=False)
    whole = str(local) if local.is_absolute() else expand(f"./{local}", "", PathFacts(_working_directory()))
    return ModelFacts(
        is_local=True,
        has_config=os.path.isfile(local / "config.json"),
        path=whole,
        real_path=_behind_links(whole),
        is_there=os.path.exists(local),
        is_file=os.path.isfile(local),
        has_params=has_params(local),
    )


def _behind_links(path: str) -> str:
    try:
        real = os.path.realpath(path)
    except ValueError:  # no path at all
        return ""
    return "" if real == path else real


def _model_files(profile: Profile, model: ModelFacts) -> ModelFiles | None:
    if model.is_local:
        return model_files(Path(model.path)) if (model.has_config or model.has_params) and model.path else None
    role = Role.DECODE if profile.topology == "disagg" else Role.WORKER
    first = f"{role}-0"
    given = {**given_environment(profile), **unit_environment(profile, role, first)}
    args = profile.worker_args(role, first)
    with_weights = ENGINES[profile.engine].computes and value_of("--load-format", args) != "dummy"
    revision = value_of("--revision", args)
    environ = {**handed_on_as_text(os.environ), **given}
    return cached_model_files(profile.model.path, environ, revision, with_weights=with_weights)


def _loras(profile: Profile, home: Path, paths: PathFacts) -> dict[str, LoraFacts]:
    """Facts about local adapters, except those whose path the plan refuses."""
    found: dict[str, LoraFacts] = {}
    for lora in profile.model.loras:
        with suppress(PreflightRefused):
            if lora.is_local:
                found[lora.name] = lora_facts(Path(expand(lora.directory, str(home), paths)))
    return found


def _l2_directories(profile: Profile, home: Path, paths: PathFacts) -> dict[str, Path]:
    """L2 directories by their name in the profile, without those that the plan refuses; none without a sidecar."""
    found: dict[str, Path] = {}
    for path in _l2_paths(profile):
        with suppress(PreflightRefused):
            found[path] = Path(expand(path, str(home), paths))
    return found


def _l2_paths(profile: Profile) -> list[str]:
    adapters = profile.lmcache.l2 if profile.lmcache.enabled else []
    return [path for adapter in adapters if (path := adapter.directory) is not None]


def _hugepages_free_bytes() -> int:
    """Free huge pages in bytes. Source: Linux, hugetlbpage.rst."""
    try:
        return int(Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").read_text()) * 2 * 1024**2
    except (OSError, ValueError):
        return 0
