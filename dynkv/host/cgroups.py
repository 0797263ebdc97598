"""What control groups leave to this process: memory and CPU time, with version 1, version 2 and both at once.

A limit applies to everything below it, so each ancestor counts. In a container the outer ones are invisible.
Source: Linux, "Control Group v2", "Memory Resource Controller" (v1) and "CFS Bandwidth Control"; proc_pid_mountinfo(5).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from msgspec import Struct

from dynkv.host.files import read_file

_NO_LIMIT = 2**60
"""Larger values mean no limit: version 1 then writes the largest number of whole pages."""


class Hierarchy(Struct, frozen=True):
    """Where one controller's limits on this process are found."""

    is_v2: bool
    directories: tuple[str, ...]
    """Directory of its own group, then those of its ancestors."""


def hierarchy(controller: str, proc: str = "/proc/self", root: str = "") -> Hierarchy | None:
    """The hierarchy; None if nothing limits, or the host does not say. `root` precedes each mount point."""
    found = _group_of(controller, _text(f"{proc}/cgroup"))
    if found is None:
        return None
    is_v2, group = found
    for base, top in _mounts(_text(f"{proc}/mountinfo"), None if is_v2 else controller):
        inside = group.removeprefix(base.rstrip("/")) if f"{group}/".startswith(f"{base.rstrip('/')}/") else ""
        parts = [part for part in inside.split("/") if part]
        if ".." not in parts:
            below = ["/".join([root + top, *parts[:depth]]) for depth in range(len(parts), -1, -1)]
            return Hierarchy(is_v2, tuple(below))
    return None


def memory_left_bytes(found: Hierarchy | None) -> int | None:
    """Memory that is left; None if there is no limit. File caches count as free, since they are released when
    needed."""
    if found is None:
        return None
    rooms = [room for directory in found.directories for room in _rooms(directory, is_v2=found.is_v2)]
    return max(0, min(rooms)) if rooms else None


def cpu_quota(found: Hierarchy | None) -> float | None:
    """CPUs' worth of time that may be used; None if there is no limit."""
    if found is None:
        return None
    quotas = [_cpu_max(directory) if found.is_v2 else _cfs_quota(directory) for directory in found.directories]
    return min((quota for quota in quotas if quota is not None), default=None)


def cpus_worth(cpus: int) -> int:
    """Of so many CPUs, those whose time this process may use up; a fraction counts as one."""
    quota = cpu_quota(hierarchy("cpu"))
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def _group_of(controller: str, text: str) -> tuple[bool, str] | None:
    """Whether version 2 has the controller, and the group's path there."""
    lines = [line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2]
    for number, controllers, group in lines:
        if number != "0" and controller in controllers.split(","):
            return False, group
    return next(((True, group) for number, controllers, group in lines if (number, controllers) == ("0", "")), None)


def _mounts(text: str, controller: str | None) -> Iterator[tuple[str, str]]:
    """Where a hierarchy (version 2's for None) is mounted: its visible part, and the mount point."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        is_it = kind[0] == "cgroup2" if controller is None else kind[0] == "cgroup" and controller in kind[2].split(",")
        if is_it:
            yield _unescaped(fields[3]), _unescaped(fields[4])


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def _rooms(directory: str, *, is_v2: bool) -> Iterator[int]:
    """What each limit of the group leaves."""
    stat = dict(re.findall(r"^(\w+) (\d{1,20})$", _text(f"{directory}/memory.stat"), re.MULTILINE))
    prefix = "" if is_v2 else "total_"
    cached = sum(int(stat.get(f"{prefix}{kind}", 0)) for kind in ("inactive_file", "active_file"))
    used = _number(f"{directory}/memory.{'current' if is_v2 else 'usage_in_bytes'}")
    if used is None:
        return
    if is_v2:
        limits = [_number(f"{directory}/memory.{name}") for name in ("max", "high")]
    else:
        of_all = stat.get("hierarchical_memory_limit")  # of ancestors too, including invisible ones
        limits = [_number(f"{directory}/memory.limit_in_bytes"), int(of_all) if of_all else None]
    yield from (limit - (used - cached) for limit in limits if limit is not None and limit < _NO_LIMIT)


def _cpu_max(directory: str) -> float | None:
    found = re.match(r"(\d{1,20}) ([1-9]\d{0,19})$", _text(f"{directory}/cpu.max").strip())
    return int(found[1]) / int(found[2]) if found else None


def _cfs_quota(directory: str) -> float | None:
    quota, period = (_number(f"{directory}/cpu.cfs_{name}_us") for name in ("quota", "period"))
    return quota / period if quota is not None and period else None


def _number(path: str) -> int | None:
    """The number; None if there is none, as for `max` and -1."""
    text = _text(path).strip()
    return int(text) if re.fullmatch(r"\d{1,20}", text) else None


def _text(path: str) -> str:
    try:
        return read_file(path).decode(errors="surrogateescape")
    except OSError:
        return ""
