"""The sidecar: `lmcache server`. Source: lmcache 0.5.2 and 0.5.6, `lmcache server --help`."""

from __future__ import annotations

import json
from typing import Any

from dynkv.errors import PreflightRefused
from dynkv.plan.context import CPU_NICE, Context, probes
from dynkv.plan.facts import HostFacts
from dynkv.plan.model import HttpGet, Role, Unit
from dynkv.plan.observability import KEEPS_FIGURES, sidecar_tracing
from dynkv.plan.paths import needs_expansion
from dynkv.plan.serving import address
from dynkv.plan.sidecars import LMCACHE, NAME, P2P_PORT
from dynkv.profile.engines import ENGINES
from dynkv.profile.l2_generic import Adapter, RawAdapter
from dynkv.profile.l2_nixl import NixlFileStore
from dynkv.profile.model import Profile

_GIB = 1024**3
_AUTO_L1_GB = 20.0
_FIRST_PINNED_GB = 1.0
"""GiB of L1 to pin before it answers; the rest is pinned while it serves. LMCache's default of 20 takes 7 s."""
_HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}
"""Makes torch ask for transparent huge pages, where the host allows them (torch 2.13, c10/core/impl/alloc_cpu.cpp).

torch allocates L1, which is then pinned: pinning 20 GiB took 3.9 s instead of 8.8. The dying process, which holds the
workers' GPU memory meanwhile, was gone after 0.6 s instead of 1.9 (H200, means of two).
"""
_POLLING_NICE = CPU_NICE + 5
"""Niceness of a sidecar that others read from: it polls without pause, as NIXL does, and a worker on the same CPUs
must compute too."""
_P2P_ALIGN_BYTES = 65536
"""Alignment that reading from another server's L1 requires; without it 4096. Source: LMCache, docs/source/mp/p2p.rst
at 0aab8fcd."""
_NIXL_FILE_BYTES = 16 * 1024**2
_PATHS = ("base_path", "file_path", "device_path", "mount_point", "download_tmp_dir")
"""Path keys of the adapters that dynkv knows."""


def lmcache_unit(ctx: Context, name: str, zmq_port: int) -> Unit:
    http = ctx.ports.free_from(ctx.profile.lmcache.http_port, f"{name}.http")
    p2p = {P2P_PORT: ctx.open_port(f"{name}.{P2P_PORT}", http)} if ctx.shares_l1 else {}
    healthy = (HttpGet(http, "/healthcheck"), HttpGet(http, "/metrics"))
    return Unit(
        name=name,
        role=Role.LMCACHE,
        argv=(*_argv(ctx, name, zmq_port, http), *_shared(ctx, p2p), *ctx.profile.lmcache.args),
        env={**(_HUGE_PAGES if ctx.profile.device == "cuda" else {}), **ctx.env},
        ports={"zmq": zmq_port, "http": http, **p2p},
        probes=probes(ctx.profile.probes.lmcache, healthy, healthy, healthy[1]),
        secret_env=ctx.secrets(Role.LMCACHE),
        restart=ctx.restart(),
        nice=_POLLING_NICE if p2p and ctx.profile.device == "cpu" else 0,
        stop_timeout_s=ctx.profile.stop.lmcache_s,
        killed_at_end=ctx.profile.device == "cuda" and not (_l2(ctx, name) or ctx.profile.lmcache.args),
    )


def l1_size_gb(profile: Profile, facts: HostFacts) -> float:
    """L1 of each sidecar in GiB. `auto` is 20 next to GPUs, all together at most a quarter of free RAM, else 1."""
    asked = profile.lmcache.l1_size_gb
    if asked != "auto":
        return float(asked)
    if profile.device == "cpu" or not ENGINES[profile.engine].uses_lmcache:
        return 1.0
    count = 2 if profile.lmcache.layout == "both" else 1
    share = facts.memory_available_bytes // (4 * count * _GIB)
    return float(min(_AUTO_L1_GB, max(1, share)))


def l2_directories(ctx: Context) -> tuple[str, ...]:
    """Absolute paths of the directories in which KV blocks are kept."""
    named = (adapter.directory for adapter in ctx.profile.lmcache.l2)
    return tuple(dict.fromkeys(ctx.expand(path) for path in named if path is not None))


def _l2(ctx: Context, name: str) -> list[Adapter]:
    return [*ctx.profile.lmcache.l2] if name == NAME else []


def adapter_json(adapter: Adapter, ctx: Context) -> str:
    """An adapter as `--l2-adapter` takes it, with absolute paths.

    Raises PreflightRefused for a path that needs expansion under a key that dynkv does not know.
    """
    given: dict[str, Any] = _expanded(adapter.model_dump(exclude_none=True), "", ctx, adapter)
    if isinstance(adapter, NixlFileStore) and adapter.type == "nixl_store":
        given["backend_params"].setdefault("file_size", str(_NIXL_FILE_BYTES))
    return json.dumps(given)


def _expanded(value: Any, key: str, ctx: Context, adapter: Adapter) -> Any:
    if isinstance(value, dict):
        return {name: _expanded(inner, name, ctx, adapter) for name, inner in value.items()}
    if isinstance(value, list):
        return [_expanded(inner, key, ctx, adapter) for inner in value]
    if not isinstance(value, str):
        return value
    if key in _PATHS and not isinstance(adapter, RawAdapter):
        return ctx.expand(value)
    if key == "base_paths":  # relative ones are below the mount point
        return ",".join(ctx.expand(path) if needs_expansion(path) else path for path in value.split(","))
    if needs_expansion(value):
        raise PreflightRefused(
            f"lmcache.l2: {key} of {adapter.type} is passed on as it is, so nothing expands {value}",
            hint="write the full path, starting with /",
        )
    return value


def _argv(ctx: Context, name: str, zmq_port: int, http_port: int) -> tuple[str, ...]:
    settings = ctx.profile.lmcache
    is_traced = ctx.profile.observability.otlp is not None
    argv = [*ctx.interpreter, "-c", KEEPS_FIGURES + LMCACHE if is_traced else LMCACHE, "server"]
    # workers connect on loopback, and those of other nodes' sidecars at the address for nodes; it binds one, or all
    argv += ["--host", "0.0.0.0" if ctx.shares_l1 else "localhost", "--port", str(zmq_port)]
    # 0.5.0 serves an API that runs scripts on 0.0.0.0 unless told otherwise
    argv += ["--http-host", "127.0.0.1", "--http-port", str(http_port)]
    argv += ["--l1-size-gb", f"{l1_size_gb(ctx.profile, ctx.facts):g}", "--chunk-size", str(settings.chunk_size)]
    argv += ["--eviction-policy", settings.eviction_policy]
    argv += ["--worker-reap-timeout-seconds", str(settings.worker_reap_timeout_s)]
    argv += ["--worker-registration-grace-seconds", str(settings.worker_registration_grace_s)]
    if ctx.profile.device == "cuda":
        argv += ["--l1-init-size-gb", f"{_FIRST_PINNED_GB:g}"]
    if ctx.profile.device == "cpu":
        argv += ["--supported-transfer-mode", "auto"]
    for adapter in _l2(ctx, name):
        argv += ["--l2-adapter", adapter_json(adapter, ctx)]
    return (*argv, *sidecar_tracing(ctx.profile, ctx.deployment, name))


def _shared(ctx: Context, ports: dict[str, int]) -> list[str]:
    """Arguments with which sidecars of other nodes can read from its L1."""
    if ctx.node is None or not ports:
        return []
    at = address(ctx.node.advertise, ports[P2P_PORT])
    return [
        *("--p2p-advertise-url", at, "--p2p-listen-url", at, "--l1-align-bytes", str(_P2P_ALIGN_BYTES)),
        *("--coordinator-url", ctx.profile.lmcache.p2p or "", "--coordinator-advertise-ip", ctx.node.advertise),
    ]
