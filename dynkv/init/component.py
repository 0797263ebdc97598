"""One component of a DynamoGraphDeployment, in either version. Pure.

Source: ai-dynamo/dynamo, deploy/operator/api/v1alpha1/dynamocomponentdeployment_types.go (00686d64) and
v1beta1/dynamocomponentdeployment_types.go (006b6e10).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from dynkv.errors import ScriptError
from dynkv.init.given import whole
from dynkv.init.manifest import Manifest, Part

_REPLICAS_MAX = 256
"""Most replicas: more than one machine has GPUs for."""
_MAIN = "main"
_GPU = "nvidia.com/gpu"


class Component(Struct, frozen=True):
    name: str
    kind: str
    """`frontend`, `worker`, `decode`, `prefill`, or something that dynkv does not have."""
    part: Part
    pod: Part
    container: Part
    """The main program's container."""
    env: tuple[Part, ...]
    """Named variables; the last of several with one name counts."""
    secrets: tuple[str, ...]
    """Names of the Secrets that it gets as a whole."""
    replicas: int
    gpus: int

    @property
    def line(self) -> int:
        return self.part.line


def components(graph: Manifest) -> Iterator[Component]:
    """The components. Raises ScriptError for an invalid one."""
    spec = graph.spec
    shared = (*spec.parts("env"), *spec.parts("envs"))
    if "components" in spec.data:
        yield from (_newer(part, shared) for part in spec.parts("components"))
    else:
        yield from (_older(part, shared) for part in spec.parts("services"))


def _newer(part: Part, shared: tuple[Part, ...]) -> Component:
    pod = part.part("podTemplate").part("spec")
    containers = list(pod.parts("containers"))
    container = next((it for it in containers if it.text("name") == _MAIN), None) or Part(part.manifest, {}, part.path)
    return Component(
        name=part.text("name"),
        kind=part.text("type"),
        part=part,
        pod=pod,
        container=container,
        env=(*shared, *container.parts("env")),
        secrets=tuple(_secrets(container)),
        replicas=_replicas(part),
        gpus=_number(container.part("resources").part("limits").data.get(_GPU)),
    )


def _older(part: Part, shared: tuple[Part, ...]) -> Component:
    pod = part.part("extraPodSpec")
    container = pod.part("mainContainer")
    limits = part.part("resources").part("limits").data
    return Component(
        name=part.text("name"),
        kind=part.text("subComponentType") or part.text("componentType"),
        part=part,
        pod=pod,
        container=container,
        env=(*shared, *part.parts("envs"), *container.parts("env")),
        secrets=tuple(name for name in (part.text("envFromSecret"), *_secrets(container)) if name),
        replicas=_replicas(part),
        gpus=_number(limits.get("gpu") or container.part("resources").part("limits").data.get(_GPU)),
    )


def _secrets(container: Part) -> Iterator[str]:
    for source in container.parts("envFrom"):
        yield from (source.part(kind).text("name") for kind in ("secretRef", "configMapRef") if kind in source.data)


def _replicas(part: Part) -> int:
    given = part.data.get("replicas")
    count = 1 if given is None else whole(str(given))
    if count is None or not 0 <= count <= _REPLICAS_MAX:
        raise ScriptError(f"replicas is not a number from 0 to {_REPLICAS_MAX}", part.line_of("replicas"))
    return count


def _number(given: Any) -> int:
    return min(max(whole(str(given)) or 0, 0), _REPLICAS_MAX)
