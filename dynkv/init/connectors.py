"""The meaning of a script's --kv-transfer-config or --connector. Source: vllm 0.31.0, ai-dynamo 1.6.1, lmcache
0.5.6."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

_SIDECAR, _NIXL = "LMCacheMPConnector", "NixlConnector"
_IN_PROCESS = frozenset({"LMCacheConnectorV1", "LMCacheConnector", "lmcache"})
_COMBINING = frozenset({"MultiConnector", "PdConnector"})
_PLANNED_EXTRA = frozenset({"lmcache.mp.port", "lmcache.mp.host"})
_HEARTBEAT = "lmcache.mp.heartbeat_interval"


class Connectors(Struct):
    """The connectors of one worker."""

    has_lmcache: bool = False
    is_in_process: bool = False
    """Whether LMCache runs inside the worker, without a server."""
    has_nixl: bool = False
    others: list[str] = field(default_factory=list)
    """Connectors that no profile can express."""
    heartbeat_interval_s: float | None = None
    left_out: list[str] = field(default_factory=list)
    """Settings for which dynkv has no key."""


def of_config(config: Mapping[str, Any]) -> Connectors:
    """Connectors of `--kv-transfer-config`."""
    found = Connectors()
    for one in _each(config):
        name, extra = str(one.get("kv_connector", "")), one.get("kv_connector_extra_config") or {}
        _add(found, name)
        if name == _SIDECAR and isinstance(extra, Mapping):
            interval = extra.get(_HEARTBEAT)
            found.heartbeat_interval_s = float(interval) if isinstance(interval, int | float) else None
            found.left_out += [key for key in extra if key not in _PLANNED_EXTRA and key != _HEARTBEAT]
        elif name == _NIXL and isinstance(extra, Mapping):
            found.left_out += extra
        found.left_out += [key for key in ("kv_load_failure_policy", "kv_connector_module_path") if key in one]
    return found


def of_names(names: tuple[str, ...]) -> Connectors:
    """Connectors of Dynamo's former `--connector`, which took short names."""
    found = Connectors()
    for name in names:
        if name not in ("none", "null"):
            _add(found, _NIXL if name == "nixl" else name)
    return found


def _add(found: Connectors, name: str) -> None:
    if name == _NIXL:
        found.has_nixl = True
    elif name == _SIDECAR or name in _IN_PROCESS:
        found.has_lmcache = True
        found.is_in_process |= name in _IN_PROCESS
    else:
        found.others.append(name)


def _each(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if config.get("kv_connector") not in _COMBINING:
        yield config
        return
    inner = (config.get("kv_connector_extra_config") or {}).get("connectors") or []
    for one in inner:
        if isinstance(one, Mapping):
            yield from _each(one)
