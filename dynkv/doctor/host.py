"""Look at the host once, before planning. The only part of doctor/ that does."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from dynkv.doctor.gpus import gpus
from dynkv.doctor.memory import memory_available_bytes
from dynkv.doctor.sockets import holders
from dynkv.doctor.stack import find_python, packages
from dynkv.plan.context import TINY
from dynkv.plan.environment import SECRETS, is_inherited
from dynkv.plan.facts import HostFacts, ModelFacts
from dynkv.profile.l2 import directory, expand, holds_credentials
from dynkv.profile.model import Profile


@dataclass(frozen=True, slots=True)
class LeftOver:
    """What a dead supervisor of the same deployment left running."""

    pids: frozenset[int] = frozenset()
    resident_bytes: int = 0
    ports: dict[str, int] = field(default_factory=dict)
    """By `unit.name`."""


def inspect(
    profile: Profile, home: Path, planned_ports: dict[int, str], left_over: LeftOver | None = None
) -> HostFacts:
    """`planned_ports`: those of other deployments, whether anything listens on them just now or not.

    What is `left_over` of the same deployment counts as free: it will be taken over or ended.

    Raises PreflightRefused when the interpreter does not work.
    """
    python = find_python(profile.python)
    own = left_over or LeftOver()
    return HostFacts(
        gpus=gpus(),
        cpus=tuple(sorted(os.sched_getaffinity(0))),
        memory_available_bytes=memory_available_bytes() + own.resident_bytes,
        taken_ports={**holders(own.pids), **planned_ports},
        kept_ports=own.ports,
        environ={n: value for n, value in os.environ.items() if is_inherited(n) and not holds_credentials(value)},
        secret_names=_secret_names(),
        python=python,
        packages=packages(python),
        model=model_facts(profile.model.path),
        unwritable=_unwritable(profile, home),
    )


def _secret_names() -> tuple[str, ...]:
    """Known secrets in the environment, and what would be inherited but has a password in it."""
    known = {name for name in SECRETS if name in os.environ}
    return tuple(sorted(known | {n for n, v in os.environ.items() if is_inherited(n) and holds_credentials(v)}))


def model_facts(path: str) -> ModelFacts:
    """A directory or something written like one is local; anything else is an id that a hub resolves."""
    if path == TINY:
        return ModelFacts(is_local=True, has_config=True)
    local = Path(os.path.expanduser(path))
    if not (path.startswith(("/", ".", "~")) or os.path.isdir(local)):
        return ModelFacts(is_local=False, has_config=False)
    return ModelFacts(is_local=True, has_config=os.path.isfile(local / "config.json"), path=str(local.absolute()))


def _unwritable(profile: Profile, home: Path) -> dict[str, str]:
    """L2 directories that cannot be made or written, with the reason."""
    wanted = [path for adapter in profile.lmcache.l2 if (path := directory(adapter)) is not None]
    problems = {path: _write_problem(Path(expand(path, str(home)))) for path in wanted}
    return {path: problem for path, problem in problems.items() if problem is not None}


def _write_problem(path: Path) -> str | None:
    """Why no file can be made in `path`; directories made to find out are removed again."""
    missing = [directory for directory in (path, *path.parents) if not directory.exists()]
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return None
    except OSError as error:
        return error.strerror or str(error)
    finally:
        for made in (directory for directory in missing if directory.is_dir()):
            made.rmdir()
