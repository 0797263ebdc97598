"""Programs that a script starts besides workers, frontend and sidecar: turned into units, or reported."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from dynkv.bash.values import is_known, readable
from dynkv.init.conversion import Conversion
from dynkv.init.environment import PLANNED
from dynkv.init.given import arguments, whole
from dynkv.init.programs import Kind, Program
from dynkv.init.workers import MULTIMODAL, Worker
from dynkv.profile.arguments import WORKER_OPTIONS
from dynkv.secrets import is_secret

_FIRST_SYSTEM_PORT = 9081
"""Above the ports of the workers."""
_FIRST_NIXL_PORT, _NIXL_PORT = 20197, "VLLM_NIXL_SIDE_CHANNEL_PORT"
_STARTUP_S = 900.0
_SERVERS = ("nats-server", "etcd")


def take_units(
    found: Conversion, workers: Sequence[Worker], frontends: Sequence[Program], programs: Sequence[Program]
) -> None:
    """Turn parts of Dynamo into units, and report all other programs as left out."""
    made = [_worker_unit(found, one, number) for number, one in enumerate(workers)]
    others = [*frontends, *(program for program in programs if program.kind is Kind.OTHER_DYNAMO)]
    made += [_unit(found, program, number) for number, program in enumerate(others, len(made))]
    if made:
        found.draft.put("units", made, "run next to the workers; dynkv plans neither GPUs nor memory for them")
    tell_of_the_rest(found, programs)
    for program in programs:
        if program.kind is Kind.VLLM:
            found.leave_out(program.line, f"`{program.shown()}`: an engine without Dynamo could be a unit")


def tell_of_the_rest(found: Conversion, programs: Sequence[Program]) -> None:
    for program in programs:
        if program.kind is Kind.OTHER:
            name = program.argv[0].rpartition("/")[2]
            needless = f": dynkv needs no {name}" if name in _SERVERS else ""
            told = f"`{program.shown()}`{needless}" if needless else f"dynkv does not run `{program.shown()}`"
            found.leave_out(program.line, told)


def _worker_unit(found: Conversion, worker: Worker, number: int) -> dict[str, Any]:
    """The unit for a worker, with its role given as Dynamo 1.6 expects it."""
    program = worker.program
    words = [
        word
        for argument in arguments(program.args, WORKER_OPTIONS)
        if argument.is_option_known
        for word in argument.words
    ]
    if "--disaggregation-mode" not in words:
        words += ["--disaggregation-mode", worker.role]
    if worker.is_older_multimodal and MULTIMODAL not in words:
        words.append(MULTIMODAL)
    for line, text in worker.left_out:
        found.leave_out(line, text)
    return _unit(found, replace(program, argv=(*program.argv[:3], *words), args=tuple(words)), number)


def without_dynamo(found: Conversion, serving: Sequence[Program]) -> None:
    """Make a profile of nothing but units, for engines that run without Dynamo."""
    found.draft.put("topology", "none", "no part of Dynamo")
    units = []
    for number, program in enumerate(serving):
        port = whole(_option(program, "--port") or "8000")
        ports = {"http": port} if port else {}
        units.append(_described(found, program, f"vllm-{number}" if number else "vllm", ports))
    found.draft.put("units", units)


def _unit(found: Conversion, program: Program, number: int) -> dict[str, Any]:
    if program.kind is Kind.FRONTEND:
        port = whole(_option(program, "--http-port") or program.env.get("DYN_HTTP_PORT", "8000"))
        ports = {"http": port} if port else {}
    else:
        ports = {"system": _FIRST_SYSTEM_PORT + number}
    name = _option(program, "--disaggregation-mode") or program.module.rpartition(".")[2]
    made = _described(
        found, program, f"{re.sub('[^a-z0-9]+', '-', name.lower())[:40].strip('-') or 'part'}-{number + 1}", ports
    )
    if "system" in ports:
        made["env"] = {**made.get("env", {}), "DYN_SYSTEM_PORT": str(ports["system"])}
    if _NIXL_PORT in program.env and "ports" in made:
        made["ports"]["nixl"] = _FIRST_NIXL_PORT + number
        made["env"] = {**made.get("env", {}), _NIXL_PORT: str(made["ports"]["nixl"])}
    return made


def _described(found: Conversion, program: Program, name: str, ports: dict[str, int]) -> dict[str, Any]:
    words = [word for word in program.argv if is_known(word)]
    for word in program.argv:
        if not is_known(word):
            found.leave_out(program.line, f"{readable(word)}: its value is known only at run time")
    kept = (PLANNED - {"CUDA_VISIBLE_DEVICES"}) | {"NATS_SERVER", "ETCD_ENDPOINTS"}
    env = {n: v for n, v in program.env.items() if n not in kept and is_known(v) and not is_secret(n, v)}
    unit: dict[str, Any] = {"name": name, "argv": words}
    if env:
        unit["env"] = env
    if ports:
        port = next(iter(ports))
        unit["ports"] = ports
        unit["probes"] = {"http_get": {"port": port, "path": "/health"}, "startup_seconds": _STARTUP_S}
    found.leave_out(
        program.line,
        f"`{program.shown()}` is now the unit {name}, which runs the first {words[0]} on PATH: write the full path "
        "of the stack's instead",
    )
    return unit


def _option(program: Program, name: str) -> str:
    return next((argument.value for argument in arguments(program.args) if argument.name == name), "")
