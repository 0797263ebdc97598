"""What of a component, or of a whole file, has no counterpart in a profile: told, key by key. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from dynkv.init.commands import CONNECTION
from dynkv.init.component import Component
from dynkv.init.conversion import Conversion
from dynkv.init.manifest import Manifest, Part

_WHY = {
    "scalingAdapter": "`dynkv scale` says how many run",
    "autoscaling": "`dynkv scale` says how many run",
    "livenessProbe": "dynkv has probes of its own, under `probes`",
    "readinessProbe": "dynkv has probes of its own, under `probes`",
    "startupProbe": "dynkv has probes of its own, under `probes`",
    "ingress": "clients reach frontend.host and frontend.port",
    "volumes": "what lies in a volume has to lie on this machine",
    "volumeMounts": "what lies in a volume has to lie on this machine",
    "pvcs": "what lies in a volume has to lie on this machine",
    "image": "dynkv runs the stack of the interpreter that `python` names",
    "imagePullSecrets": "dynkv runs the stack of the interpreter that `python` names",
    "initContainers": "what they prepare has to be there",
}
_READ = {
    "component": "name type componentType subComponentType replicas podTemplate extraPodSpec envs envFromSecret "
    "resources",
    "pod": "containers mainContainer terminationGracePeriodSeconds",
    "container": "name command args env envFrom resources",
    "spec": "components services env envs backendFramework",
    "engine": "server l1 eviction l2Backend extraArgs env",
}
_PLANNED = frozenset(
    "hostIPC isolatedIPC sharedMemorySize sharedMemory securityContext workingDir ports serviceName dynamoNamespace "
    "globalDynamoNamespace extraPodMetadata runtimeClassName gpuVendor privileged prometheus".split()
)
"""What a cluster needs, and one machine has."""
_GPUS = frozenset("nvidia.com/gpu gpu".split())


def tell_of_component(found: Conversion, component: Component) -> None:
    name = component.name
    tell(found, component.part, "component", name)
    tell(found, component.pod, "pod", name)
    tell(found, component.container, "container", name)
    for secret in component.secrets:
        _once(found, component.line, f"export what `{secret}` holds before `dynkv up`, which passes it on")
    for container in component.pod.parts("containers"):
        if container.path != component.container.path:
            found.leave_out(container.line, f"{name}: the container {container.text('name')} could be a unit")
    for resources in (component.part.part("resources"), component.container.part("resources")):
        for kind in ("limits", "requests"):
            others = [key for key in resources.part(kind).data if key not in _GPUS]
            if others:
                text = f"{name}: {kind} of {', '.join(others)}: the machine has what it has"
                found.leave_out(resources.line_of(kind), text)


def tell_of_the_rest(
    found: Conversion, graph: Manifest, manifests: Sequence[Manifest], understood: Sequence[str]
) -> None:
    """Of the deployment itself, and other resources beside it."""
    tell(found, graph.spec, "spec", graph.name)
    for manifest in manifests:
        if manifest.kind not in understood:
            text = f"{manifest.kind or 'a document of no kind'} {manifest.name}: it has no counterpart"
            found.leave_out(manifest.lines.get(("kind",), 1), text)


def tell(found: Conversion, part: Part, level: str, name: str) -> None:
    """Each key of it that nothing reads; `level` says what reads it."""
    for key in part.data:
        if key in _READ[level].split() or _is_connection(part, key):
            continue
        if key in _PLANNED:
            found.planned.add(key)
        elif key == "image":
            _once(found, part.line_of(key), f"{_image(part)}: {_WHY[key]}")
        else:
            found.leave_out(part.line_of(key), f"{name}: {key}: {_WHY.get(key, 'it has no counterpart')}")


def _image(part: Part) -> str:
    """As it is written in a container, or in parts."""
    given = part.data["image"]
    if not isinstance(given, dict):
        return f"image {given}"
    return f"image {part.part('image').text('repository')}:{part.part('image').text('tag')}"


def _once(found: Conversion, line: int, text: str) -> None:
    """What is the same for several, where it stands first."""
    if all(remark.text != text for remark in found.left_out):
        found.leave_out(line, text)


def _is_connection(part: Part, key: str) -> bool:
    """What mounts the file of LMCache's operator, which says no more than that it is to be used."""
    if key not in ("volumes", "volumeMounts"):
        return False
    return all(CONNECTION in volume.text("name") for volume in part.parts(key))
