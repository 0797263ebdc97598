"""What a cluster has, and what of a unit's environment is for it. Pure.

Source: ai-dynamo/dynamo, deploy/operator/internal/dynamo/component_common.go and component_worker.go (015d780b), which
say what its operator gives each container.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from dynkv.plan.environment import given_environment, unit_environment
from dynkv.plan.model import Plan, Role, Unit
from dynkv.profile.model import Profile
from dynkv.render.readme import secret_names
from dynkv.secrets import without_secrets

_HERE = frozenset(
    "CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER DYN_TCP_RPC_HOST DYN_TCP_RESPONSE_STREAM_HOST DYN_EVENT_PLANE_HOST "
    "DYN_SYSTEM_HOST DYN_SYSTEM_PORT DYN_DISCOVERY_BACKEND DYN_REQUEST_PLANE DYN_EVENT_PLANE DYN_FILE_KV DYN_NAMESPACE "
    "ETCD_ENDPOINTS NATS_SERVER VLLM_HOST_IP VLLM_NIXL_SIDE_CHANNEL_HOST VLLM_NIXL_SIDE_CHANNEL_PORT "
    "TORCHINDUCTOR_CACHE_DIR HF_HOME HF_HUB_CACHE".split()
)
"""What the plan says of one host, or the operator says itself."""
_TRACE = "DYN_REQUEST_TRACE"
_HUB = "/models"


@dataclass(frozen=True, slots=True)
class Cluster:
    """What it has, and how that is called there."""

    image: str
    lmcache_image: str
    namespace: str | None = None
    secret: str = "hf-token-secret"
    claim: str | None = None
    """A PersistentVolumeClaim with the model, or that keeps what is fetched from the hub."""

    def metadata(self, name: str) -> dict[str, str]:
        return {"name": name, **({"namespace": self.namespace} if self.namespace else {})}


def has_sidecar(plan: Plan) -> bool:
    return any(unit.role is Role.LMCACHE for unit in plan.units)


def resource_name(*parts: str) -> str:
    """As Kubernetes takes it (RFC 1123, a label): small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9-]+", "-", "-".join(parts).lower()).strip("-")[:63].rstrip("-")


def own_secret(plan: Plan, unit: Unit) -> str:
    """The Secret of what no other unit is given."""
    return resource_name(plan.name, unit.name)


def is_local(profile: Profile) -> bool:
    return profile.model.path.startswith("/")


def models_directory(profile: Profile) -> str:
    """Where the claim is mounted: it holds the directory that the model's own lies in, or is the hub's cache."""
    return profile.model.path.rstrip("/").rpartition("/")[0] or _HUB if is_local(profile) else _HUB


def environment(profile: Profile, unit: Unit, cluster: Cluster) -> dict[str, str]:
    """What the plan gives it, without what it says of one host; what the profile gives has the last word."""
    env = {name: value for name, value in unit.env.items() if name not in _HERE and not name.startswith(_TRACE)}
    given = without_secrets({**given_environment(profile), **unit_environment(profile, unit.role, unit.name)})
    is_cached = cluster.claim and not is_local(profile) and unit.role is not Role.LMCACHE
    return {**env, **({"HF_HOME": _HUB} if is_cached else {}), **given}


def variables(env: dict[str, str]) -> list[dict[str, Any]]:
    """As a container has them. Kubernetes replaces `$(NAME)`, and takes `$$(` for `$(`."""
    return [{"name": name, "value": value.replace("$(", "$$(")} for name, value in sorted(env.items())]


def secret_sources(plan: Plan, unit: Unit, cluster: Cluster) -> list[dict[str, Any]]:
    """Those of all may be missing where a token of the hub is all that they would be."""
    found: list[dict[str, Any]] = []
    if unit.secret_env:
        is_needless = secret_names(plan) == ("HF_TOKEN",)
        found.append({"secretRef": {"name": cluster.secret, **({"optional": True} if is_needless else {})}})
    if unit.own_secrets:
        found.append({"secretRef": {"name": own_secret(plan, unit)}})
    return found
