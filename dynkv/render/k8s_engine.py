"""The sidecar of a plan as an LMCacheEngine of LMCache's operator. Pure.

Source: LMCache/LMCache, operator/api/v1alpha1/lmcacheengine_types.go (03b05250), and what its example for Dynamo sets
besides, examples/dynamo_integration/kubernetes/lmcache_engine.yaml (ad08eead).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dynkv.plan.model import Plan, Role, Unit
from dynkv.profile.model import Profile
from dynkv.render.cluster import Cluster, environment, own_secret, resource_name, variables

_FIELDS = frozenset("--host --port --http-host --http-port --l1-size-gb --chunk-size --eviction-policy".split())
"""Arguments that the operator sets itself, some of them from a field."""
_FIRST = ("--l2-adapter", "--l1-init-size-gb")
"""Arguments whose first occurrence is a field, or only serves dynkv's own quick start."""
_POLICIES = ("LRU", "noop")


def engine_name(plan: Plan) -> str:
    return resource_name(plan.name, "lmcache")


def connection_name(plan: Plan) -> str:
    """The ConfigMap that the operator makes for workers (086f1900, configmap.go)."""
    return f"{engine_name(plan)}-connection"


def sidecar(plan: Plan) -> Unit:
    return next(unit for unit in plan.units if unit.role is Role.LMCACHE)


def engine(profile: Profile, plan: Plan, cluster: Cluster) -> dict[str, Any]:
    unit = sidecar(plan)
    repository, _, tag = cluster.lmcache_image.rpartition(":")
    spec: dict[str, Any] = {
        "image": {"repository": repository, "tag": tag},
        "isolatedIPC": False,  # it and the workers share the host's /dev/shm
        "server": {"chunkSize": profile.lmcache.chunk_size},
        "l1": {"sizeGB": _l1_size_gb(unit)},
    }
    if profile.lmcache.eviction_policy in _POLICIES:
        spec["eviction"] = {"policy": profile.lmcache.eviction_policy}
    if adapters := l2_adapters(unit):
        spec["l2Backend"] = {"raw": _raw(adapters[0])}
    if disks := {f"l2-{number}": path for number, path in enumerate(plan.l2_directories)}:
        spec["volumes"] = [_of_node(name, path) for name, path in disks.items()]
        spec["volumeMounts"] = [{"name": name, "mountPath": path} for name, path in disks.items()]
    spec["env"] = _environment(profile, plan, unit, cluster)
    if rest := list(_rest(profile, unit)):
        spec["extraArgs"] = rest
    return {
        "apiVersion": "lmcache.lmcache.ai/v1alpha1",
        "kind": "LMCacheEngine",
        "metadata": cluster.metadata(engine_name(plan)),
        "spec": spec,
    }


def l2_adapters(unit: Unit) -> list[dict[str, Any]]:
    """All L2 adapters; the first has a field, since the operator knows one."""
    return [json.loads(group[1]) for group in _groups(unit) if group[0] == "--l2-adapter"]


def _raw(adapter: dict[str, Any]) -> dict[str, Any]:
    config = {name: value for name, value in adapter.items() if name != "type"}
    return {"type": adapter["type"], **({"config": config} if config else {})}


def _environment(profile: Profile, plan: Plan, unit: Unit, cluster: Cluster) -> list[dict[str, Any]]:
    """Variables; an engine has no `envFrom`, so each secret is referenced by its key."""
    keys = {**dict.fromkeys(unit.secret_env, cluster.secret), **dict.fromkeys(unit.own_secrets, own_secret(plan, unit))}
    secrets = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}}
        for name, secret in sorted(keys.items())
    ]
    return [*variables(environment(profile, unit, cluster)), *secrets]


def _of_node(name: str, path: str) -> dict[str, Any]:
    """A directory of the node, in place of the plan's host directory."""
    return {"name": name, "hostPath": {"path": path, "type": "DirectoryOrCreate"}}


def _l1_size_gb(unit: Unit) -> int | float:
    size_gb = float(unit.argv[unit.argv.index("--l1-size-gb") + 1])
    return int(size_gb) if size_gb.is_integer() else size_gb


def _rest(profile: Profile, unit: Unit) -> Iterator[str]:
    """Arguments without a field, including further L2 adapters; the operator appends them."""
    fields = _FIELDS if profile.lmcache.eviction_policy in _POLICIES else _FIELDS - {"--eviction-policy"}
    seen: set[str] = set()
    for option, *words in _groups(unit):
        is_first = option not in seen
        seen.add(option)
        if option not in fields and not (is_first and option in _FIRST):
            yield from (option, *words)


def _groups(unit: Unit) -> Iterator[list[str]]:
    """Each option with its words."""
    group: list[str] = []
    for word in unit.argv[unit.argv.index("server") + 1 :]:
        if word.startswith("--") and group:
            yield group
            group = []
        group.append(word)
    if group:
        yield group
