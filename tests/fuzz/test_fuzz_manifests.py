"""Kubernetes manifests: any input is refused in words or becomes a profile, in bounded time."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from inputs import NUMBERS, TEXTS, bounded, damaged, fuzz

from dynkv.cli.graph import manifests_of
from dynkv.errors import ScriptError
from dynkv.init.graph import converted_graph

CONTAINER = {
    "name": "main",
    "image": "registry/runtime:1",
    "command": [
        "/bin/sh",
        "-c",
        'exec python3 -m dynamo.vllm "$@" --kv-transfer-config "$(cat /etc/kv-transfer-config)"',
    ],
    "args": ["--model", "m", "--disaggregation-mode", "prefill"],
    "env": [{"name": "A", "value": "$(A) $$(B)"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s"}}}],
    "envFrom": [{"secretRef": {"name": "hub"}}],
    "resources": {"limits": {"nvidia.com/gpu": "2"}},
    "volumeMounts": [{"name": "kv-transfer-config", "mountPath": "/etc"}],
}
NEWER: dict[str, Any] = {
    "kind": "DynamoGraphDeployment",
    "metadata": {"name": "x"},
    "spec": {
        "env": [{"name": "C", "value": "1"}],
        "components": [
            {"name": "f", "type": "frontend", "replicas": 1},
            {"name": "w", "type": "decode", "replicas": 2, "podTemplate": {"spec": {"containers": [CONTAINER]}}},
        ],
    },
}
OLDER: dict[str, Any] = {
    "kind": "DynamoGraphDeployment",
    "spec": {
        "services": {
            "F": {"componentType": "frontend", "envs": [{"name": "DYN_ROUTER_MODE", "value": "kv"}]},
            "W": {
                "envFromSecret": "hub",
                "resources": {"limits": {"gpu": "1"}},
                "extraPodSpec": {"mainContainer": CONTAINER},
            },
        }
    },
}
ENGINE: dict[str, Any] = {
    "kind": "LMCacheEngine",
    "metadata": {"name": "e"},
    "spec": {
        "l1": {"sizeGB": 1},
        "l2Backend": {"raw": {"type": "fs", "config": {"base_path": "/x"}}},
        "extraArgs": ["--a"],
    },
}
WHOLE = "---\n".join(json.dumps(document) + "\n" for document in (ENGINE, NEWER))
ODD: st.SearchStrategy[Any] = (
    TEXTS | NUMBERS | st.none() | st.booleans() | st.just([]) | st.just({}) | st.just([[]]) | st.just({"a": {"b": 1}})
)


def paths(value: Any, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of all values in it."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path for key, it in inner for path in ((*here, key), *paths(it, (*here, key)))]


def convert(text: str) -> None:
    with bounded(), suppress(ScriptError):
        converted_graph(list(manifests_of(text)), "x.yaml").text("x.yaml", "import")


@fuzz
@given(damaged(WHOLE.encode()))
@example(b"")
@example(b"---\n---\n---")
@example(b"kind: DynamoGraphDeployment\nspec: {components: [{replicas: 1}, 1]}\n")
@example(b"kind: DynamoGraphDeployment\nspec: {services: {1: 2, null: {}}}\n")
def test_whatever_text(content: bytes) -> None:
    convert(content.decode("utf-8", "surrogateescape"))


@fuzz
@given(st.sampled_from([NEWER, OLDER, ENGINE]), st.data(), ODD)
def test_whatever_stands_where_something_else_should(document: dict[str, Any], data: st.DataObject, odd: Any) -> None:
    path = data.draw(st.sampled_from(paths(document)))
    made = json.loads(json.dumps(document))
    *outer, last = path
    into = made
    for key in outer:
        into = into[key]
    into[last] = odd
    convert("---\n".join(json.dumps(it) + "\n" for it in (made, *([NEWER] if document is ENGINE else []))))
