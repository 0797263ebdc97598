"""Arguments for the stack's programs: which ones a profile may give, and which ones the plan decides."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Self

from pydantic import AfterValidator, model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.fields import Section, Word
from dynkv.profile.options import DYNAMO, FRONTEND, MOCKER, SIDECAR, VLLM
from dynkv.profile.words import Given, OptionTable, option_table, read, values

RESERVED_ARGS = {
    "--model": "model.path",
    "--model-path": "model.path",
    "--served-model-name": "model.served_name",
    "--model-name": "model.served_name",
    "--max-model-len": "model.max_length",
    "--tensor-parallel-size": "workers.tensor_parallel_size",
    "--pipeline-parallel-size": "workers.pipeline_parallel_size",
    "--data-parallel-size": "workers.data_parallel_size",
    "--gpu-memory-utilization": "workers.gpu_memory_fraction",
    "--block-size": "workers.block_size",
    "--disaggregation-mode": "topology",
    "--is-prefill-worker": "topology",
    "--is-decode-worker": "topology",
    "--connector": "topology and lmcache.enabled",
    "--kv-transfer-config": "topology and lmcache.enabled",
    "--kv-events-config": "frontend.router_mode",
    "--disable-hybrid-kv-cache-manager": "lmcache.enabled",
    "--device-ids": "workers.gpus",
    "--discovery-backend": "discovery.backend",
    "--request-plane": "discovery.nats_server",
    "--event-plane": "discovery.nats_server",
}
"""Worker arguments that the plan writes itself, with the profile key that determines them."""


_SIZE = re.compile(r"\s*(\d{1,18}(?:\.\d{1,18})?)([kKmMgGtT]?)\s*", re.ASCII)
_UNITS = {"": 1, **{unit: 1000**power for power, unit in enumerate("kmgt", 1)}}
_UNITS |= {unit: 1024**power for power, unit in enumerate("KMGT", 1)}

_ONE_MACHINE = "a deployment is on one machine"
_ONE_PROCESS = "the ranks of a worker are in one process tree, which numbers them itself"
REFUSED_ARGS = {
    "--nnodes": _ONE_MACHINE,
    "--node-rank": _ONE_MACHINE,
    "--master-addr": _ONE_MACHINE,
    "--master-port": _ONE_MACHINE,
    "--headless": f"{_ONE_MACHINE}, and every worker of it serves",
    "--data-parallel-rank": _ONE_PROCESS,
    "--data-parallel-start-rank": _ONE_PROCESS,
    "--data-parallel-size-local": _ONE_PROCESS,
    "--data-parallel-external-lb": _ONE_PROCESS,
    "--data-parallel-hybrid-lb": _ONE_PROCESS,
    "--data-parallel-multi-port-external-lb": _ONE_PROCESS,
    "--data-parallel-address": _ONE_MACHINE,
    "--data-parallel-rpc-port": _ONE_MACHINE,
    "--data-parallel-backend": "ranks under Ray are in no process tree that a supervisor can end",
    "--enable-elastic-ep": "it uses more GPUs later than the plan has assigned",
    "--prefill-context-parallel-size": "it uses GPUs that the plan does not assign",
    "--config": "only vLLM reads that file; write its arguments here",
}
"""Worker arguments that no plan can contain, with the reason."""


HANDSHAKE_ARGS = (
    "--dtype",
    "--kv-cache-dtype",
    "--attention-backend",
    "--attention-config",
    "--speculative-config",
    "--spec-method",
    "--spec-model",
    "--spec-tokens",
    "--quantization",
    "--hf-overrides",
)
"""Arguments that prefill and decode must agree on, or NIXL refuses the handshake (vLLM 0.31, compatibility hash)."""


RESERVED_SIDECAR_ARGS = {
    "--host": "nothing: it listens on loopback",
    "--port": "lmcache.port",
    "--http-host": "nothing: it listens on loopback",
    "--http-port": "lmcache.http_port",
    "--l1-size-gb": "lmcache.l1_size_gb",
    "--chunk-size": "lmcache.chunk_size",
    "--eviction-policy": "lmcache.eviction_policy",
    "--worker-reap-timeout-seconds": "lmcache.worker_reap_timeout_s",
    "--worker-registration-grace-seconds": "lmcache.worker_registration_grace_s",
    "--l2-adapter": "lmcache.l2",
}
REFUSED_SIDECAR_ARGS = {"--l1-manager": "the sidecar does not start with it and --l1-size-gb, which it is always given"}


RESERVED_FRONTEND_ARGS = {
    "--http-host": "frontend.host",
    "--http-port": "frontend.port",
    "--router-mode": "frontend.router_mode",
    "--migration-limit": "frontend.migration_limit",
    "--discovery-backend": "discovery.backend",
    "--request-plane": "discovery.nats_server",
    "--event-plane": "discovery.nats_server",
}
_PLAIN_HTTP = "dynkv probes the frontend over plain HTTP; for clients, put a TLS proxy in front of it"
REFUSED_FRONTEND_ARGS = {
    "--tls-cert-path": _PLAIN_HTTP,
    "--tls-key-path": _PLAIN_HTTP,
    "--tls-client-ca-cert-path": _PLAIN_HTTP,
    "--interactive": "it reads from a terminal, and a unit has none",
    "--version": "with it the frontend exits at once",
}
"""Arguments that no plan can give the sidecar or the frontend, with the reason."""


# no abbreviation means --config: vLLM looks for the whole word before it parses
_EXACT = option_table(f"{DYNAMO} {MOCKER} config", is_exact=True)
WORKER_OPTIONS = OptionTable((*_EXACT.options, *option_table(VLLM).options))
SIDECAR_OPTIONS, FRONTEND_OPTIONS = option_table(SIDECAR), option_table(FRONTEND)


def _check_args(
    args: list[str], table: OptionTable, reserved: Mapping[str, str], refused: Mapping[str, str]
) -> list[str]:
    if any("\0" in arg for arg in args):
        raise PydanticCustomError("nul", "an argument cannot hold a NUL character")
    for problem in _problems(args, table, reserved, refused):
        raise PydanticCustomError("reserved", "{problem}", {"problem": problem})
    return args


def worker_problems(args: Sequence[str], table: OptionTable) -> Iterator[str]:
    """Reasons to refuse a worker's arguments, as sentences; its parsers know the options of `table`."""
    return _problems(args, table, RESERVED_ARGS, REFUSED_ARGS)


def _problems(
    args: Sequence[str], table: OptionTable, reserved: Mapping[str, str], refused: Mapping[str, str]
) -> Iterator[str]:
    for given in read(args, table):
        names = given.option.spellings
        if key := next((reserved[name] for name in names if name in reserved), None):
            yield f"{_named(given)} is planned by dynkv; set {key} instead"
        elif reason := next((refused[name] for name in names if name in refused), None):
            yield f"{_named(given)} cannot be planned: {reason}"


def _named(given: Given) -> str:
    """The option as written, and its full name if that differs."""
    name, written = given.option.name, ".".join((given.written, *given.keys))
    return name if given.written.replace("_", "-") == name and not given.keys else f"{written} ({name})"


def _checked(table: OptionTable, reserved: Mapping[str, str], refused: Mapping[str, str]) -> AfterValidator:
    return AfterValidator(partial(_check_args, table=table, reserved=reserved, refused=refused))


WorkerArgs = Annotated[list[Word], _checked(WORKER_OPTIONS, RESERVED_ARGS, REFUSED_ARGS)]
SidecarArgs = Annotated[list[Word], _checked(SIDECAR_OPTIONS, RESERVED_SIDECAR_ARGS, REFUSED_SIDECAR_ARGS)]
FrontendArgs = Annotated[list[Word], _checked(FRONTEND_OPTIONS, RESERVED_FRONTEND_ARGS, REFUSED_FRONTEND_ARGS)]


class RoleArgs(Section):
    """Extra arguments for the workers of one role, after `model.args`."""

    worker: WorkerArgs = []
    """For the workers of an agg deployment."""
    decode: WorkerArgs = []
    """For decode workers."""
    prefill: WorkerArgs = []
    """For prefill workers."""

    @model_validator(mode="after")
    def _handshake_agrees(self) -> Self:
        decode, prefill = (values(args, WORKER_OPTIONS) for args in (self.decode, self.prefill))
        for flag in HANDSHAKE_ARGS:
            if decode.get(flag) != prefill.get(flag):
                raise PydanticCustomError(
                    "handshake",
                    f"prefill and decode must agree on {flag}, or every transfer fails: put it in model.args",
                )
        return self


def value_of(name: str, args: list[str]) -> str | None:
    """The value of a worker's option, however it is written; None if it is not given."""
    return value_in(name, args, WORKER_OPTIONS)


def value_in(name: str, args: list[str], table: OptionTable) -> str | None:
    """The same as value_of, for the program whose options are in `table`."""
    value: Any = values(args, table).get(name)
    return value if value is None or isinstance(value, str) else json.dumps(value)


def kv_cache_bytes(args: list[str]) -> int:
    """Bytes of each GPU that a worker's KV cache takes, if an argument gives a size in bytes; else 0.

    vLLM then takes that much whatever the share of memory, which only has to be free at its start. Source: vllm 0.31.0,
    gpu_worker.py, and `human_readable_int`.
    """
    found = _SIZE.fullmatch(value_of("--kv-cache-memory-bytes", args) or "")
    if found is None:
        return 0
    number, unit = found.groups()
    return int(float(number) * _UNITS[unit]) if "." in number else int(number) * _UNITS[unit]
