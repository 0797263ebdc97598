"""Fixed hosts, and plans for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynkv.plan.build import build
from dynkv.plan.facts import HostFacts, ModelFacts, PathFacts
from dynkv.plan.gpus import Gpu
from dynkv.plan.model import Plan
from dynkv.profile.load import Override, load
from dynkv.profile.model import Profile

GIB = 1024**3
HOME = "/state"
SCRIPTS = "/dynkv/instack"
PYTHON = "/stack/bin/python"
PACKAGES = {"ai-dynamo": "1.6.1", "vllm": "0.31.0", "lmcache": "0.5.6", "nixl": "1.4.1", "torch": "2.13.0"}
LOCAL_TINY = ModelFacts(is_local=True, has_config=True)
LLAMA = ModelFacts(is_local=True, has_config=True, path="/models/llama")


def gpu(index: int, *, mig: str = "") -> Gpu:
    uuid = mig or f"GPU-{index:08d}"
    return Gpu(index, uuid, "NVIDIA H100", 80 * GIB, 79 * GIB, is_mig=bool(mig))


def host(gpus: int = 0, **more: Any) -> HostFacts:
    """A host with 16 CPUs, 256 GiB free and the whole stack installed."""
    facts: dict[str, Any] = {
        "gpus": tuple(gpu(index) for index in range(gpus)),
        "cpus": tuple(range(16)),
        "memory_available_bytes": 256 * GIB,
        "environ": {"PATH": "/usr/bin:/bin"},
        "python": PYTHON,
        "scripts_directory": SCRIPTS,
        "packages": PACKAGES,
        "paths": PathFacts("/there", {"": "/home/me"}),
    }
    return HostFacts(**{**facts, **more})


def profile(name: str, settings: Mapping[str, Any] | None = None) -> Profile:
    """A shipped profile with settings by dotted key."""
    overrides = [Override(tuple(key.split(".")), value, f"--set {key}") for key, value in (settings or {}).items()]
    return load(name, overrides).profile


def plan(name: str, facts: HostFacts, settings: Mapping[str, Any] | None = None) -> Plan:
    return build(profile(name, settings), facts, name=name, profile_name=name, home=HOME)


def option(argv: tuple[str, ...], flag: str) -> str | None:
    """The argument after a flag; None without the flag."""
    return argv[argv.index(flag) + 1] if flag in argv else None
