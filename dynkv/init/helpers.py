"""Stand-ins for functions that Dynamo's launch scripts source, as far as they affect what is started."""

from __future__ import annotations

from collections.abc import Mapping

from dynkv.bash.reading import Helper
from dynkv.bash.values import Variables, unknown
from dynkv.init.given import whole

_THAT_START_NOTHING = (
    "print_launch_banner print_curl_footer wait_any_exit wait_for_ready dynamo_exit_trap dynamo_reap_and_exit"
)
_KV_BYTES = "_PROFILE_OVERRIDE_VLLM_KV_CACHE_BYTES"


def _nothing(given: list[str], variables: Variables) -> str:
    return ""


def _gpu_memory_args(given: list[str], variables: Variables) -> str:
    """Two vLLM arguments if a variable gives the size of the KV cache, else none."""
    size = whole(variables.text(_KV_BYTES) or "")
    if not size:
        return ""
    sharing = given[given.index("--workers-per-gpu") + 1 :][:1] if "--workers-per-gpu" in given else []
    workers = whole("".join(sharing)) or 1
    return f"--kv-cache-memory-bytes {size // workers} --gpu-memory-utilization 0.01"


def _port(given: list[str], variables: Variables) -> str:
    """The port in a numbered variable, else the given default."""
    name, number, default = [*given, "", "", ""][:3]
    return variables.text(f"{name}{number}") or default


HELPERS: Mapping[str, Helper] = {
    "build_vllm_gpu_mem_args": _gpu_memory_args,
    "build_gpu_mem_args": lambda given, variables: _gpu_memory_args(given[1:], variables),
    "dyn_port": _port,
    "allocate_free_port": lambda given, variables: unknown("$(allocate_free_port)"),
    **dict.fromkeys(_THAT_START_NOTHING.split(), _nothing),
}
