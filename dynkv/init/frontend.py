"""Turning the frontend of a script into that of a profile."""

from __future__ import annotations

from collections.abc import Sequence

from dynkv.init.conversion import Conversion
from dynkv.init.given import Argument, arguments, whole
from dynkv.init.programs import Program
from dynkv.init.workers import Worker
from dynkv.profile.arguments import FRONTEND_OPTIONS, REFUSED_FRONTEND_ARGS

_KEYS = {"--router-mode": "frontend.router_mode", "--http-host": "frontend.host"}
_NUMBERS = {"--http-port": "frontend.port", "--migration-limit": "frontend.migration_limit"}
_ROUTER = "DYN_ROUTER_MODE"
HANDLED_ENV = frozenset({_ROUTER})
"""Variables that are handled here: this one means the same as `--router-mode` (ai-dynamo 1.6.1)."""
_PLANNED = frozenset(
    "--namespace --namespace-prefix --discovery-backend --request-plane --event-plane --model-name --model-path".split()
)


def take_frontend(found: Conversion, frontends: Sequence[Program], workers: Sequence[Worker]) -> None:
    if not frontends:
        found.leave_out(workers[0].program.line, "it starts no frontend for its workers; every deployment has one")
        return
    frontend = frontends[0]
    if port := whole(frontend.env.get("DYN_HTTP_PORT", "")):
        found.draft.put("frontend.port", port, "DYN_HTTP_PORT")
    if mode := frontend.env.get(_ROUTER):
        found.draft.put("frontend.router_mode", mode, _ROUTER)
    rest: list[str] = []
    for argument in arguments(frontend.args, FRONTEND_OPTIONS):
        rest += _take(found, argument, frontend.line)
    if rest:
        found.draft.put("frontend.args", rest, f"line {frontend.line}")
    _take_request_plane(found, frontend)
    _tell_of_events(found, [one for one in workers if one.publishes_events])


def _tell_of_events(found: Conversion, publishing: Sequence[Worker]) -> None:
    if found.draft.get("frontend.router_mode") != "kv":
        publishing, why = publishing[:1], "KV events are published only with router_mode kv"
    else:
        publishing, why = [one for one in publishing if one.role == "decode"], "decode workers publish no KV events"
    for one in publishing:
        found.leave_out(one.program.line, f"--kv-events-config: {why}")


def _take(found: Conversion, argument: Argument, line: int) -> tuple[str, ...]:
    """Take an argument; returns the words that remain arguments."""
    why = f"line {line}: {argument.name}"
    if not argument.is_known:
        found.leave_out(line, f"{argument.shown()}: its value is known only at run time")
    elif argument.name in _KEYS:
        found.draft.put(_KEYS[argument.name], argument.value, why)
    elif argument.name in _NUMBERS:
        found.put_number(_NUMBERS[argument.name], argument, line)
    elif argument.name in _PLANNED:
        found.planned.add(argument.name)
    elif argument.name == "--store-kv":
        found.planned.add("--store-kv")
    elif argument.name in REFUSED_FRONTEND_ARGS:
        found.leave_out(line, f"{argument.shown()}: {REFUSED_FRONTEND_ARGS[argument.name]}")
    elif not argument.is_option_known:
        found.leave_out(line, f"{argument.shown()}: the frontend of ai-dynamo 1.6.1 has no such option")
    else:
        return argument.words
    return ()


def _take_request_plane(found: Conversion, frontend: Program) -> None:
    if frontend.env.get("DYN_REQUEST_PLANE") == "nats":
        server = frontend.env.get("NATS_SERVER", "nats://localhost:4222")
        found.draft.put(
            "discovery.nats_server", server, f"line {frontend.line}: requests go through NATS, which must be running"
        )
