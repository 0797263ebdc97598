"""A plan as a DynamoGraphDeployment for Dynamo's operator, and an LMCacheEngine for LMCache's. Pure.

Source: ai-dynamo/dynamo, deploy/operator/api/v1beta1 (006b6e10, dynamocomponentdeployment_types.go; 0fddc01b,
dynamographdeployment_types.go) and examples/backends/vllm/deploy/v1beta1/agg_lmcache.yaml (77d8d4e5).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from dynkv.plan.model import Plan, Role, Unit
from dynkv.plan.worker import program_of
from dynkv.profile.model import Profile
from dynkv.render.cluster import (
    Cluster,
    environment,
    has_sidecar,
    models_directory,
    resource_name,
    secret_sources,
    variables,
)
from dynkv.render.k8s_engine import connection_name, engine
from dynkv.render.k8s_readme import FILE, k8s_readme
from dynkv.render.yaml_text import as_yaml

_CONNECTION, _CONNECTION_FILE, _MODELS = "kv-transfer-config", "kv-transfer-config.json", "models"
_MOUNT = "/etc/lmcache"
_EVENTS_PORT = 20080
"""The port in agg_router.yaml (369732d4): a pod has its ports to itself."""
_OPERATORS = ("--http-host", "--http-port")
"""Arguments that the operator's own variables replace."""
_READ = f'"$(cat {_MOUNT}/{_CONNECTION_FILE})"'


def k8s_files(profile: Profile, plan: Plan, cluster: Cluster) -> dict[str, str]:
    """Files by path: both resources in one file, the engine first, since the workers mount its ConfigMap; and their
    README."""
    head = f"{plan.name} (profile {plan.profile}) for Kubernetes, by `dynkv export k8s`: see README.md."
    engines = [engine(profile, plan, cluster)] if has_sidecar(plan) else []
    documents = [as_yaml(document) for document in (*engines, _deployment(profile, plan, cluster))]
    return {FILE: f"# {head}\n" + "---\n".join(documents), "README.md": k8s_readme(profile, plan, cluster).text()}


def _deployment(profile: Profile, plan: Plan, cluster: Cluster) -> dict[str, Any]:
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": cluster.metadata(resource_name(plan.name)),
        "spec": {"backendFramework": "vllm", "components": _components(profile, plan, cluster)},
    }


def _components(profile: Profile, plan: Plan, cluster: Cluster) -> list[dict[str, Any]]:
    """A component for all equal workers of a role; a different worker gets its own, with its own name."""
    found: list[dict[str, Any]] = []
    for unit in plan.units:
        if unit.role is not Role.FRONTEND and not unit.role.is_worker:
            continue
        made = _component(profile, plan, unit, cluster)
        alike = next((it for it in found if _template(it) == _template(made)), None)
        if alike is not None:
            alike["replicas"] += 1
        else:
            is_first = all(it["name"] != str(unit.role) for it in found)
            found.append({"name": str(unit.role) if is_first else unit.name, **made})
    return found


def _template(component: dict[str, Any]) -> tuple[Any, ...]:
    return component["type"], component["podTemplate"]


def _component(profile: Profile, plan: Plan, unit: Unit, cluster: Cluster) -> dict[str, Any]:
    shares = _uses_sidecar(unit)
    spec: dict[str, Any] = {"terminationGracePeriodSeconds": math.ceil(unit.stop_timeout_s)}
    if shares:
        spec["hostIPC"] = True
    spec["containers"] = [_container(profile, plan, unit, cluster)]
    if volumes := _volumes(plan, unit, cluster):
        spec["volumes"] = volumes
    # with its own tmpfs a worker could not share memory with LMCache (77d8d4e5)
    memory = {"sharedMemorySize": "0"} if shares else {}
    return {"type": str(unit.role), "replicas": 1, **memory, "podTemplate": {"spec": spec}}


def _container(profile: Profile, plan: Plan, unit: Unit, cluster: Cluster) -> dict[str, Any]:
    command, args = _command(unit)
    made: dict[str, Any] = {"name": "main", "image": cluster.image, "command": command, "args": args}
    if env := environment(profile, unit, cluster):
        made["env"] = variables(env)
    if sources := secret_sources(plan, unit, cluster):
        made["envFrom"] = sources
    if unit.gpus:
        made["resources"] = {"limits": {"nvidia.com/gpu": str(len(unit.gpus))}}
    if _uses_sidecar(unit):
        made["securityContext"] = {"runAsUser": 0}  # as another user, CUDA IPC's handshake fails (77d8d4e5)
    if mounts := _mounts(profile, unit, cluster):
        made["volumeMounts"] = mounts
    return made


def _command(unit: Unit) -> tuple[list[str], list[str]]:
    """Command and arguments as in the examples: the module in the command, without the arguments of one host."""
    module = list(program_of(unit))
    args, transfer = _arguments(list(unit.argv[len(module) :]))
    if transfer is None:
        return module, args
    if not _uses_sidecar(unit):
        return module, [*args, "--kv-transfer-config", json.dumps(transfer)]
    # a shell, because of the ConfigMap: the examples of both projects read it like this
    script = f'exec {" ".join(module)} "$@" --kv-transfer-config {_read(transfer)}'
    return ["/bin/sh", "-c", script, "--"], args


def _arguments(words: list[str]) -> tuple[list[str], Mapping[str, Any] | None]:
    """The arguments that stay, and the connector. Kubernetes expands `$(NAME)`, and reads `$$(` as `$(`."""
    args: list[str] = []
    transfer: Mapping[str, Any] | None = None
    while words:
        word = words.pop(0)
        if word in _OPERATORS:
            words.pop(0)
        elif word == "--kv-transfer-config":
            transfer = json.loads(words.pop(0))
        elif word == "--kv-events-config":
            args += [word, json.dumps({**json.loads(words.pop(0)), "endpoint": f"tcp://*:{_EVENTS_PORT}"})]
        else:
            args.append(word.replace("$(", "$$("))
    return args, transfer


def _read(transfer: Mapping[str, Any]) -> str:
    """The connector as a shell assembles it, with LMCache's part from its ConfigMap."""
    if transfer["kv_connector"] != "MultiConnector":
        return _READ
    connectors = transfer["kv_connector_extra_config"]["connectors"]
    own = next(one for one in connectors if one["kv_connector"] == "LMCacheMPConnector")
    before, _, after = json.dumps(transfer).partition(json.dumps(own))
    return f"'{before}'{_READ}'{after}'"


def _uses_sidecar(unit: Unit) -> bool:
    return any("LMCacheMPConnector" in word for word in unit.argv)


def _volumes(plan: Plan, unit: Unit, cluster: Cluster) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if _uses_sidecar(unit):
        found.append({"name": _CONNECTION, "configMap": {"name": connection_name(plan)}})
    if cluster.claim:
        found.append({"name": _MODELS, "persistentVolumeClaim": {"claimName": cluster.claim}})
    return found


def _mounts(profile: Profile, unit: Unit, cluster: Cluster) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if _uses_sidecar(unit):
        found.append({"name": _CONNECTION, "mountPath": _MOUNT, "readOnly": True})
    if cluster.claim:
        found.append({"name": _MODELS, "mountPath": models_directory(profile)})
    return found
