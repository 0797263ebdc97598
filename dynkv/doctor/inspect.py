"""Look at the host once, before planning. The only part of doctor/ that does."""

from __future__ import annotations

import os
import platform
import resource
from dataclasses import dataclass, field
from pathlib import Path

from dynkv.doctor.model_files import cached_model_files, model_files
from dynkv.doctor.stack import find_python, packages
from dynkv.host.disks import free_bytes, room_bytes, write_problem
from dynkv.host.gpus import look
from dynkv.host.memory import memory_available_bytes
from dynkv.host.sockets import holders
from dynkv.plan.context import TINY
from dynkv.plan.environment import handed_on_as_secrets, handed_on_as_text
from dynkv.plan.facts import HostFacts, Leftover, ModelFacts, ModelFiles
from dynkv.profile.l2 import directory, expand
from dynkv.profile.model import FORBIDDEN_ENV, Profile

_HARMFUL = sorted(FORBIDDEN_ENV.keys() - {"CUDA_VISIBLE_DEVICES"})
"""What the person may have set, and no child gets; which GPUs are visible is respected."""


@dataclass(frozen=True, slots=True)
class LeftOver:
    """What a dead supervisor of the same deployment left running."""

    pids: frozenset[int] = frozenset()
    resident_bytes: int = 0
    ports: dict[str, int] = field(default_factory=dict)
    """By `unit.name`."""


def inspect(
    profile: Profile,
    home: Path,
    planned_ports: dict[int, str],
    left_over: LeftOver | None = None,
    leftovers: tuple[Leftover, ...] = (),
) -> HostFacts:
    """`planned_ports`: those of other deployments, whether anything listens on them just now or not.

    What is `left_over` of the same deployment counts as free: it will be taken over or ended. `leftovers` are those of
    all deployments.

    Raises PreflightRefused when the interpreter does not work.
    """
    python = find_python(profile.python)
    own = left_over or LeftOver()
    gpus, driver = look()
    model = model_facts(profile.model.path)
    l2 = _l2_directories(profile, home)
    return HostFacts(
        gpus=gpus,
        cpus=tuple(sorted(os.sched_getaffinity(0))),
        memory_available_bytes=memory_available_bytes() + own.resident_bytes,
        taken_ports={**holders(own.pids), **planned_ports},
        kept_ports=own.ports,
        environ=handed_on_as_text(os.environ),
        secret_names=handed_on_as_secrets(os.environ),
        python=python,
        packages=packages(python),
        model=model,
        unwritable={name: problem for name, path in l2.items() if (problem := write_problem(path)) is not None},
        driver=driver,
        model_files=_model_files(profile, model),
        shm_free_bytes=free_bytes(Path("/dev/shm")),
        hugepages_free_bytes=_hugepages_free_bytes(),
        home_free_bytes=free_bytes(home),
        l2_room_bytes={name: room for name, path in l2.items() if (room := room_bytes(path)) is not None},
        open_files_max=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        is_wsl="microsoft" in platform.release().lower(),
        ignored_environ=tuple(name for name in _HARMFUL if name in os.environ),
        is_taken_over=bool(own.pids),
        leftovers=leftovers,
    )


def model_facts(path: str) -> ModelFacts:
    """A directory or something written like one is local; anything else is an id that a hub resolves."""
    if path == TINY:
        return ModelFacts(is_local=True, has_config=True)
    local = Path(os.path.expanduser(path))
    if not (path.startswith(("/", ".", "~")) or os.path.isdir(local)):
        return ModelFacts(is_local=False, has_config=False)
    return ModelFacts(is_local=True, has_config=os.path.isfile(local / "config.json"), path=str(local.absolute()))


def _model_files(profile: Profile, model: ModelFacts) -> ModelFiles | None:
    if model.is_local:
        return model_files(Path(model.path)) if model.has_config and model.path else None
    return cached_model_files(profile.model.path, {**os.environ, **profile.env})


def _l2_directories(profile: Profile, home: Path) -> dict[str, Path]:
    """By the name that the profile has for each; none without a sidecar."""
    wanted = [path for adapter in profile.lmcache.l2 if (path := directory(adapter)) is not None]
    return {path: Path(expand(path, str(home))) for path in wanted} if profile.lmcache.enabled else {}


def _hugepages_free_bytes() -> int:
    """Source: Linux, hugetlbpage.rst."""
    try:
        return int(Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").read_text()) * 2 * 1024**2
    except (OSError, ValueError):
        return 0
