"""vLLM's --kv-transfer-config: how KV blocks get to the sidecar, and from prefill to decode.

Source: measured with ai-dynamo 1.6.1, vllm 0.31.0, lmcache 0.5.6 and with 1.3.1, 0.23.0, 0.5.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dynkv.plan.context import Context
from dynkv.plan.model import Role
from dynkv.plan.sidecars import sidecar_of
from dynkv.profile.model import Profile

Config = dict[str, Any]
_VLLMS = "vllm.distributed.kv_transfer.kv_connector.v1"
_MODULES = {
    "LMCacheMPConnector": f"{_VLLMS}.lmcache_mp_connector",
    "MultiConnector": f"{_VLLMS}.multi_connector",
    "NixlConnector": f"{_VLLMS}.nixl",
}
"""vLLM's modules of its own connectors (vllm 0.31.0)."""


def transfer_of(ctx: Context, role: Role) -> Config | None:
    """The configuration of a role's workers; None if they need no connector."""
    sidecar = sidecar_of(ctx.profile, role)
    return kv_transfer_config(ctx.profile, role, None if sidecar is None else ctx.sidecar_ports[sidecar])


def kv_transfer_config(profile: Profile, role: Role, sidecar_port: int | None) -> Config | None:
    """The configuration of one worker; None if it needs no connector.

    `sidecar_port` is the port of this role's sidecar; None without one.
    """
    sidecar = None if sidecar_port is None else lmcache_connector(sidecar_port, profile.lmcache.heartbeat_interval_s)
    if role is Role.WORKER:
        return sidecar
    nixl = nixl_connector(profile.device)
    if sidecar is None:
        return nixl
    if role is Role.DECODE:
        # first what prefill computed for this request; LMCache's own connector is the one that stores what decode
        # generates (lmcache 0.5.6; vLLM's built-in one of the same name stores prompts alone)
        sidecar |= {"kv_connector_module_path": "lmcache.integration.vllm.lmcache_mp_connector"}
        sidecar["kv_connector_extra_config"]["lmcache.mp.save_decode_cache"] = True
        return _both(nixl, sidecar)
    # the order matters: LMCache answers for what it has, and NIXL passes the whole prompt on to decode
    return _both(sidecar, nixl)


def _both(*connectors: Config) -> Config:
    """Both connectors: the first that knows more tokens of a request than the GPU loads them, and all store (vllm
    0.31.0)."""
    return _connector("MultiConnector", kv_connector_extra_config={"connectors": list(connectors)})


def lmcache_connector(port: int, heartbeat_interval_s: float) -> Config:
    extra = {"lmcache.mp.port": port, "lmcache.mp.heartbeat_interval": heartbeat_interval_s}
    return _connector("LMCacheMPConnector", kv_connector_extra_config=extra)


def nixl_connector(device: str) -> Config:
    """The NIXL connector; on a CPU the transfer buffers must be in host memory."""
    return _connector("NixlConnector", **({"kv_buffer_device": "cpu"} if device == "cpu" else {}))


def connector_modules(config: Config) -> Iterator[str]:
    """The modules of the connectors in such a configuration."""
    yield config.get("kv_connector_module_path") or _MODULES[config["kv_connector"]]
    for inner in config.get("kv_connector_extra_config", {}).get("connectors", ()):
        yield from connector_modules(inner)


def disables_hybrid_kv_cache_manager(profile: Profile) -> bool:
    """Whether to disable it, the same for every worker of a deployment.

    LMCacheMPConnector requires that; prefill and decode must agree, or every request fails with a NIXL compatibility
    hash mismatch. So it is never decided by role.
    """
    return profile.lmcache.enabled


def _connector(name: str, **more: Any) -> Config:
    return {"kv_connector": name, "kv_role": "kv_both", **more}
