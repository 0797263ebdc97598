"""The fields of the operators' resources that an export uses, and no others, as JSON Schema.

Written from the types of the operators, and not from their generated schemas: ai-dynamo/dynamo,
deploy/operator/api/v1beta1/{dynamocomponentdeployment,dynamographdeployment}_types.go (006b6e10, 0fddc01b), common.go
(02911c80); LMCache/LMCache, operator/api/v1alpha1/lmcacheengine_types.go (03b05250), and `isolatedIPC` of
examples/dynamo_integration/kubernetes/lmcache_engine.yaml (ad08eead).
"""

from __future__ import annotations

from typing import Any

_NAME = {"type": "string", "minLength": 1, "maxLength": 63, "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
_TEXT = {"type": "string"}
_WORDS = {"type": "array", "items": _TEXT}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


def _resource(version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = _object({"name": _NAME, "namespace": _NAME}, "name")
    fields = {"apiVersion": {"const": version}, "kind": {"const": kind}, "metadata": metadata, "spec": spec}
    return _object(fields, *fields)


_COMPONENT = _object(
    {
        "name": {
            "type": "string",
            "minLength": 1,
            "maxLength": 63,
            "pattern": "^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$",
        },
        "type": {"enum": ["frontend", "worker", "prefill", "decode", "planner", "epp"]},
        "replicas": {"type": "integer", "minimum": 0},
        "sharedMemorySize": {"type": "string", "pattern": "^[0-9]+([KMGT]i?)?$"},
        # a PodTemplateSpec of Kubernetes, which its own schema checks
        "podTemplate": {"type": "object"},
    },
    "name",
)
GRAPH = _resource(
    "nvidia.com/v1beta1",
    "DynamoGraphDeployment",
    _object(
        {
            "backendFramework": {"enum": ["sglang", "vllm", "trtllm"]},
            "components": {"type": "array", "maxItems": 25, "items": _COMPONENT},
        }
    ),
)
_IMAGE = _object({"repository": _TEXT, "tag": _TEXT, "pullPolicy": {"enum": ["Always", "Never", "IfNotPresent"]}})
ENGINE = _resource(
    "lmcache.lmcache.ai/v1alpha1",
    "LMCacheEngine",
    _object(
        {
            "image": _IMAGE,
            "isolatedIPC": {"type": "boolean"},
            "server": _object({"chunkSize": {"type": "integer"}}),
            "l1": _object({"sizeGB": {"type": "number", "exclusiveMinimum": 0}}, "sizeGB"),
            "eviction": _object({"policy": {"enum": ["LRU", "noop"]}}),
            "l2Backend": _object({"raw": _object({"type": _TEXT, "config": {"type": "object"}}, "type")}),
            # Kubernetes' own types, as in a pod: its own schema checks them
            "env": {"type": "array"},
            "volumes": {"type": "array"},
            "volumeMounts": {"type": "array"},
            "extraArgs": _WORDS,
        },
        "l1",
    ),
)
