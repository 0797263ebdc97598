"""Where the variables that a script sets for its processes go in a profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, field

from dynkv.bash.values import is_known, readable
from dynkv.init.programs import Program
from dynkv.profile.environment import FORBIDDEN_ENV
from dynkv.secrets import SECRETS, is_secret

PLANNED = frozenset(FORBIDDEN_ENV) | frozenset(
    "DYN_SYSTEM_ENABLED DYN_SYSTEM_HOST DYN_VLLM_KV_EVENT_PORT VLLM_NIXL_SIDE_CHANNEL_HOST DYN_HTTP_PORT DYN_NAMESPACE "
    "DYN_REQUEST_PLANE DYN_EVENT_PLANE DYN_DISCOVERY_BACKEND DYN_STORE_KV PYTHONUNBUFFERED VLLM_TARGET_DEVICE "
    "DYN_HEALTH_CHECK_ENABLED".split()
)
"""Variables that the plan sets, or for which a profile has a key."""
_SERVERS = {
    "NATS_SERVER": "is not needed on one machine; to use NATS, set discovery.nats_server",
    "ETCD_ENDPOINTS": "is not needed on one machine; to use etcd, set discovery.backend",
}
_ALL, _WORKERS = "env", "workers.env"
Groups = Mapping[str, Sequence[Program]]
"""The processes that each key, such as `frontend.env`, applies to."""


class Carried(Struct):
    by_key: dict[str, dict[str, str]] = field(default_factory=dict)
    left_out: list[tuple[int, str]] = field(default_factory=list)
    """What is not carried over, by line."""
    planned: set[str] = field(default_factory=set)


def carried(groups: Groups, handled: frozenset[str] = frozenset()) -> Carried:
    """Sort the variables of the stack's processes; those in `handled` have already become keys."""
    found = Carried()
    everyone = [program for programs in groups.values() for program in programs]
    for name in sorted({name for program in everyone for name in program.env}):
        given = [program for program in everyone if name in program.env]
        if name in PLANNED or name in handled:
            found.planned.add(name)
        elif problem := _problem(name, [program.env[name] for program in given]):
            found.left_out.append((given[0].line, f"{name} {problem}"))
        else:
            _carry(found, name, groups)
    return found


def _carry(found: Carried, name: str, groups: Groups) -> None:
    values: dict[str, str] = {}
    for key, programs in groups.items():
        given = [program.env.get(name) for program in programs]
        if len(set(given)) > 1:
            for number, value in enumerate(given):
                if value is not None:
                    found.by_key.setdefault(f"workers.each.{_role(key)}-{number}.env", {})[name] = value
        elif given[0] is not None:
            values[key] = given[0]
    for key, value in _together(values, set(groups)):
        found.by_key.setdefault(key, {})[name] = value


def _role(key: str) -> str:
    return "worker" if key == _WORKERS else key.split(".")[1]


def _together(values: Mapping[str, str], keys: set[str]) -> Iterator[tuple[str, str]]:
    """Merge keys into a more general one if all its processes have the same value."""
    roles = {key for key in keys if key.startswith("workers.")}
    if len(set(values.values())) == 1 and set(values) == keys:
        yield _ALL, next(iter(values.values()))
    elif len(roles) > 1 and roles <= set(values) and len({values[role] for role in roles}) == 1:
        yield from ((key, value) for key, value in values.items() if key not in roles)
        yield _WORKERS, values[min(roles)]
    else:
        yield from values.items()


def _problem(name: str, values: Sequence[str]) -> str | None:
    if name in _SERVERS:
        return _SERVERS[name]
    if name in SECRETS:
        return "is a secret; export it before `dynkv up`, which passes it on"
    if name == "PYTHONPATH" and any(not part.startswith("/") for value in values for part in value.split(":")):
        return "has entries that are relative to the script; write full paths"
    if any(is_secret(name, value) for value in values):
        return "is a secret; write it under env yourself, or keep it out of files"
    unknown = next((value for value in values if not is_known(value)), None)
    return unknown and f"has a value, {readable(unknown)}, that is known only at run time"
