"""Arguments that are passed on to the stack's programs: which a profile may give, and which the plan decides."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.fields import Section

RESERVED_ARGS = {
    "--model": "model.path",
    "--model-path": "model.path",
    "--served-model-name": "model.served_name",
    "--model-name": "model.served_name",
    "--max-model-len": "model.max_length",
    "--tensor-parallel-size": "workers.tensor_parallel_size",
    "-tp": "workers.tensor_parallel_size",
    "--gpu-memory-utilization": "workers.gpu_memory_fraction",
    "--block-size": "workers.block_size",
    "--disaggregation-mode": "topology",
    "--is-prefill-worker": "topology",
    "--is-decode-worker": "topology",
    "--connector": "topology and lmcache.enabled",
    "--kv-transfer-config": "topology and lmcache.enabled",
    "--kv-events-config": "frontend.router_mode",
    "--disable-hybrid-kv-cache-manager": "lmcache.enabled",
    "--no-disable-hybrid-kv-cache-manager": "lmcache.enabled",
}
"""Worker arguments that the plan writes itself, with the profile key that decides them."""


HANDSHAKE_ARGS = (
    "--dtype",
    "--kv-cache-dtype",
    "--attention-backend",
    "--speculative-config",
    "--quantization",
    "--hf-overrides",
)
"""Arguments on which prefill and decode must agree, or NIXL refuses the handshake (vLLM 0.31, compatibility hash)."""


RESERVED_SIDECAR_ARGS = {
    "--host": "nothing: it listens on loopback",
    "--port": "lmcache.port",
    "--http-host": "nothing: it listens on loopback",
    "--http-port": "lmcache.http_port",
    "--l1-size-gb": "lmcache.l1_size_gb",
    "--chunk-size": "lmcache.chunk_size",
    "--l2-adapter": "lmcache.l2",
}


RESERVED_FRONTEND_ARGS = {
    "--http-host": "frontend.host",
    "--http-port": "frontend.port",
    "--router-mode": "frontend.router_mode",
    "--migration-limit": "frontend.migration_limit",
}


def _check_args(args: list[str], reserved: Mapping[str, str] = RESERVED_ARGS) -> list[str]:
    for arg in args:
        if "\0" in arg:
            raise PydanticCustomError("nul", "an argument cannot hold a NUL character")
        flag = arg.split("=", 1)[0].replace("_", "-")
        if flag in reserved:
            raise PydanticCustomError("reserved", f"{flag} is planned by dynkv; set {reserved[flag]} instead")
    return args


WorkerArgs = Annotated[list[str], AfterValidator(_check_args)]


SidecarArgs = Annotated[list[str], AfterValidator(partial(_check_args, reserved=RESERVED_SIDECAR_ARGS))]


FrontendArgs = Annotated[list[str], AfterValidator(partial(_check_args, reserved=RESERVED_FRONTEND_ARGS))]


class RoleArgs(Section):
    """Extra arguments for the workers of one role, after `model.args`."""

    worker: WorkerArgs = []
    """Of the workers of an agg deployment."""
    decode: WorkerArgs = []
    """Of decode workers."""
    prefill: WorkerArgs = []
    """Of prefill workers."""

    @model_validator(mode="after")
    def _handshake_agrees(self) -> Self:
        for flag in HANDSHAKE_ARGS:
            if value_of(flag, self.decode) != value_of(flag, self.prefill):
                raise PydanticCustomError(
                    "handshake",
                    f"prefill and decode must agree on {flag}, or every transfer fails: put it in model.args",
                )
        return self


def value_of(flag: str, args: list[str]) -> str | None:
    """What an argument is set to, as `--flag value` or `--flag=value`; None without it."""
    for i, arg in enumerate(args):
        if arg.split("=", 1)[0].replace("_", "-") == flag:
            return arg.partition("=")[2] or " ".join(args[i + 1 : i + 2])
    return None
