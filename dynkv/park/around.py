"""Properties that a process inherits and that cannot be changed later, or that nothing changes: the values of this one.

Source: proc_pid_status(5), namespaces(7), cgroups(7), getrlimit(2), PR_GET_SECUREBITS(2const), Linux 6.12.
"""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

from dynkv.host.files import names_in

_STATUS = (
    "Uid Gid Groups Umask NoNewPrivs Seccomp CapInh CapPrm CapEff CapBnd CapAmb Cpus_allowed_list Mems_allowed_list"
).split()
_LIMITS = sorted(name for name in dir(resource) if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE")
"""Names of limits, one of which has an older name too."""
_PR_GET_SECUREBITS = 27
_TEXT_MAX_BYTES = 64 * 1024


def around() -> dict[str, str]:
    """Properties by name; those that cannot be read are left out."""
    status = dict(line.split(":", 1) for line in _read("status").splitlines() if ":" in line)
    found = {name: status[name].strip() for name in _STATUS if name in status}
    found |= {f"namespace {name}": _link(f"ns/{name}") for name in names_in("/proc/self/ns")}
    found |= {name: "{}/{}".format(*resource.getrlimit(getattr(resource, name))) for name in _LIMITS}
    found |= {name: _read(name) for name in ("cgroup", "oom_score_adj", "personality", "attr/current", "timerslack_ns")}
    root = Path("/").stat()
    found |= {"root": f"{root.st_dev}:{root.st_ino}", "nice": str(os.getpriority(os.PRIO_PROCESS, 0))}
    found["securebits"] = str(ctypes.CDLL(None).prctl(_PR_GET_SECUREBITS, 0, 0, 0, 0))
    return {name: value for name, value in found.items() if value}


def _read(name: str) -> str:
    try:
        with Path("/proc/self", name).open("rb") as file:
            return file.read(_TEXT_MAX_BYTES).decode(errors="replace").strip("\0\n ")
    except OSError:
        return ""


def _link(name: str) -> str:
    try:
        return str(Path("/proc/self", name).readlink())
    except OSError:
        return ""
