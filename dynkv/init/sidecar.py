"""Turning LMCache in a script, as a server or inside workers, into the sidecar of a profile."""

from __future__ import annotations

from collections.abc import Sequence

from dynkv.init.conversion import Conversion
from dynkv.init.given import Argument, arguments
from dynkv.init.programs import Program
from dynkv.init.workers import Worker
from dynkv.profile.arguments import REFUSED_SIDECAR_ARGS, SIDECAR_OPTIONS

_NUMBERS = {
    "--l1-size-gb": "lmcache.l1_size_gb",
    "--chunk-size": "lmcache.chunk_size",
    "--port": "lmcache.port",
    "--http-port": "lmcache.http_port",
    "--worker-reap-timeout-seconds": "lmcache.worker_reap_timeout_s",
    "--worker-registration-grace-seconds": "lmcache.worker_registration_grace_s",
}
_IN_PROCESS = {"LMCACHE_MAX_LOCAL_CPU_SIZE": "lmcache.l1_size_gb", "LMCACHE_CHUNK_SIZE": "lmcache.chunk_size"}
HANDLED_ENV = frozenset(_IN_PROCESS)
"""Variables that are handled here."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def take_sidecar(found: Conversion, workers: Sequence[Worker], servers: Sequence[Program]) -> None:
    users = [one for one in workers if one.connectors.has_lmcache]
    if not users and not servers:
        found.draft.put("lmcache.enabled", False, "it has none")
        return
    for one in users:
        if one.connectors.heartbeat_interval_s is not None:
            found.draft.put("lmcache.heartbeat_interval_s", one.connectors.heartbeat_interval_s)
    if any(one.role == "decode" for one in users):
        line = next(one.program.line for one in users if one.role == "decode")
        found.leave_out(line, "LMCache on decode: dynkv attaches the sidecar to prefill, which computes the prompts")
    if servers:
        _take_server(found, servers[0])
        for other in servers[1:]:
            found.leave_out(other.line, "a second `lmcache server`: a deployment has only one")
    else:
        _take_in_process(found, users)


def _take_server(found: Conversion, server: Program) -> None:
    rest: list[str] = []
    adapters = []
    for argument in arguments(server.args, SIDECAR_OPTIONS):
        if not argument.is_known:
            found.leave_out(server.line, f"{argument.shown()}: its value is known only at run time")
        elif argument.name in _NUMBERS:
            found.put_number(_NUMBERS[argument.name], argument, server.line)
        elif argument.name == "--l2-adapter" and argument.mapping:
            adapters.append(argument.mapping)
        elif argument.name == "--eviction-policy":
            found.draft.put("lmcache.eviction_policy", argument.value, f"line {server.line}")
        elif argument.name in ("--host", "--http-host"):
            _take_host(found, argument, server.line)
        elif argument.name in REFUSED_SIDECAR_ARGS:
            found.leave_out(server.line, f"{argument.shown()}: {REFUSED_SIDECAR_ARGS[argument.name]}")
        elif not argument.is_option_known:
            found.leave_out(server.line, f"{argument.shown()}: lmcache 0.5.6 has no such option")
        else:
            rest += argument.words
    if adapters:
        found.draft.put("lmcache.l2", adapters, f"line {server.line}: --l2-adapter")
    if rest:
        found.draft.put("lmcache.args", rest, f"line {server.line}")


def _take_host(found: Conversion, argument: Argument, line: int) -> None:
    found.planned.add(argument.name)
    if argument.value not in _LOOPBACK:
        found.leave_out(line, f"{argument.shown()}: the sidecar listens on loopback")


def _take_in_process(found: Conversion, users: Sequence[Worker]) -> None:
    first = users[0].program
    found.leave_out(
        first.line,
        "LMCache inside the worker: dynkv runs it as a separate process, which outlives a worker",
    )
    for name, key in _IN_PROCESS.items():
        if (given := first.env.get(name)) is not None:
            found.put_number(key, Argument(name, (name, given), True), first.line)
    if found.draft.get("lmcache.l1_size_gb") is None:
        found.draft.put("lmcache.l1_size_gb", "auto", "left to LMCache")
