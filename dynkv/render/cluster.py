"""What a cluster provides, and which part of a unit's environment applies there. Pure.

Source: ai-dynamo/dynamo, deploy/operator/internal/dynamo/component_common.go and component_worker.go (015d780b), with
the variables that its operator gives each container.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

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
"""Variables that only apply to one host, or that the operator sets itself."""
_TRACE = "DYN_REQUEST_TRACE"
_HUB = "/models"


class Cluster(Struct, frozen=True):
    """What the cluster provides, by the names it has there."""

    image: str
    lmcache_image: str
    namespace: str | None = None
    secret: str = "hf-token-secret"
    claim: str | None = None
    """A PersistentVolumeClaim with the model, or for what is downloaded from the hub."""

    def metadata(self, name: str) -> dict[str, str]:
        return {"name": name, **({"namespace": self.namespace} if self.namespace else {})}


def has_sidecar(plan: Plan) -> bool:
    return any(unit.role is Role.LMCACHE for unit in plan.units)


def resource_name(*parts: str) -> str:
    """A name that Kubernetes accepts (RFC 1123, a label): lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9-]+", "-", "-".join(parts).lower()).strip("-")[:63].rstrip("-")


def own_secret(plan: Plan, unit: Unit) -> str:
    """The Secret with what no other unit gets."""
    return resource_name(plan.name, unit.name)


def is_local(profile: Profile) -> bool:
    return profile.model.path.startswith("/")


def models_directory(profile: Profile) -> str:
    """Where the claim is mounted: it contains the model's directory, or is the hub's cache."""
    return profile.model.path.rstrip("/").rpartition("/")[0] or _HUB if is_local(profile) else _HUB


def environment(profile: Profile, unit: Unit, cluster: Cluster) -> dict[str, str]:
    """The planned variables without those of one host; the profile's variables win."""
    env = {name: value for name, value in unit.env.items() if name not in _HERE and not name.startswith(_TRACE)}
    given = without_secrets({**given_environment(profile), **unit_environment(profile, unit.role, unit.name)})
    is_cached = cluster.claim and not is_local(profile) and unit.role is not Role.LMCACHE
    return {**env, **({"HF_HOME": _HUB} if is_cached else {}), **given}


def variables(env: dict[str, str]) -> list[dict[str, Any]]:
    """Variables as in a container. Kubernetes expands `$(NAME)`, and reads `$$(` as `$(`."""
    return [{"name": name, "value": value.replace("$(", "$$(")} for name, value in sorted(env.items())]


def secret_sources(plan: Plan, unit: Unit, cluster: Cluster) -> list[dict[str, Any]]:
    """Sources of secrets; the common one is optional if it would only contain a token of the hub."""
    found: list[dict[str, Any]] = []
    if unit.secret_env:
        is_needless = secret_names(plan) == ("HF_TOKEN",)
        found.append({"secretRef": {"name": cluster.secret, **({"optional": True} if is_needless else {})}})
    if unit.own_secrets:
        found.append({"secretRef": {"name": own_secret(plan, unit)}})
    return found
