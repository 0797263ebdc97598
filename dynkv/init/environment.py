"""What becomes of the variables that a script sets for its processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dynkv.bash.values import is_known, readable
from dynkv.init.programs import Program
from dynkv.profile.model import FORBIDDEN_ENV
from dynkv.secrets import SECRETS, is_secret

PLANNED = frozenset(FORBIDDEN_ENV) | frozenset(
    "DYN_SYSTEM_ENABLED DYN_SYSTEM_HOST DYN_VLLM_KV_EVENT_PORT VLLM_NIXL_SIDE_CHANNEL_HOST DYN_HTTP_PORT DYN_NAMESPACE "
    "DYN_REQUEST_PLANE DYN_EVENT_PLANE DYN_DISCOVERY_BACKEND DYN_STORE_KV PYTHONUNBUFFERED VLLM_TARGET_DEVICE "
    "DYN_HEALTH_CHECK_ENABLED".split()
)
"""That the plan gives, or that a key of the profile stands for."""
_SERVERS = {
    "NATS_SERVER": "a deployment on one machine needs no NATS; discovery.nats_server makes use of one",
    "ETCD_ENDPOINTS": "a deployment on one machine needs no etcd; discovery.backend makes use of one",
}


@dataclass(slots=True)
class Carried:
    """`shared` is for every process."""

    shared: dict[str, str] = field(default_factory=dict)
    left_out: list[tuple[int, str]] = field(default_factory=list)
    """Lines, and what is not carried over from them."""
    planned: set[str] = field(default_factory=set)


def carried(programs: Sequence[Program], handled: Iterable[str] = ()) -> Carried:
    """Of the stack's processes; `handled` are variables that have become keys already."""
    found = Carried()
    handled = frozenset(handled)
    for name in sorted({name for program in programs for name in program.env}):
        given = {program.line: program.env[name] for program in programs if name in program.env}
        line, first = next(iter(given.items()))
        if name in PLANNED or name in handled:
            found.planned.add(name)
        elif problem := _problem(name, first, given):
            found.left_out.append((line, f"{name}: {problem}"))
        else:
            found.shared[name] = first
            if len(given) < len(programs):
                found.left_out.append((line, f"{name}: not of every process there, and of every one here"))
    return found


def _problem(name: str, value: str, given: Mapping[int, str]) -> str | None:
    if name in _SERVERS:
        return _SERVERS[name]
    if name in SECRETS:
        return "a secret; export it before `dynkv up`, which hands it on"
    if is_secret(name, value):
        return "a secret; write it under env yourself, or keep it out of files"
    if not all(map(is_known, given.values())):
        return f"its value, {readable(value)}, is only known where the script runs"
    if len(set(given.values())) > 1:
        return f"it differs from process to process ({', '.join(dict.fromkeys(given.values()))}), and env is for all"
    return None
