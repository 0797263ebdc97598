"""Environment variables that a profile gives to the stack's processes."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from dynkv.profile.fields import ENV_MAX, EnvName, EnvValue

FORBIDDEN_ENV = {
    "PROMETHEUS_MULTIPROC_DIR": "it corrupts the workers' metrics",
    "PYTHONHASHSEED": "sidecar and workers must have the same one, or no token hash ever matches",
    "CUDA_VISIBLE_DEVICES": "the plan assigns GPUs to each worker; use workers.gpus",
    "DYN_SYSTEM_PORT": "each worker has its own, from the plan",
    "DYN_FILE_KV": "each deployment has its own discovery directory",
    "VLLM_NIXL_SIDE_CHANNEL_PORT": "each worker has its own, from the plan",
}
"""Variables that a profile may not set, with the reason."""


def _check_name(name: str) -> str:
    if name in FORBIDDEN_ENV:
        raise PydanticCustomError("env", f"{name} cannot be set: {FORBIDDEN_ENV[name]}")
    return name


StackEnvironment = Annotated[dict[Annotated[EnvName, AfterValidator(_check_name)], EnvValue], Field(max_length=ENV_MAX)]
