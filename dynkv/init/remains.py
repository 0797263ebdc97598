"""Parts of a component or a file that have no counterpart in a profile, reported key by key. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from dynkv.init.commands import CONNECTION
from dynkv.init.component import Component
from dynkv.init.conversion import Conversion
from dynkv.init.manifest import Manifest, Part

_WHY = {
    "scalingAdapter": "use `dynkv scale`",
    "autoscaling": "use `dynkv scale`",
    "livenessProbe": "dynkv has its own probes, under `probes`",
    "readinessProbe": "dynkv has its own probes, under `probes`",
    "startupProbe": "dynkv has its own probes, under `probes`",
    "ingress": "clients reach frontend.host and frontend.port",
    "volumes": "a volume's content must be on this machine",
    "volumeMounts": "a volume's content must be on this machine",
    "pvcs": "a volume's content must be on this machine",
    "image": "dynkv uses the stack of the interpreter in `python`",
    "imagePullSecrets": "dynkv uses the stack of the interpreter in `python`",
    "initContainers": "prepare it yourself",
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
"""Keys that a cluster needs and a single machine does not."""
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
                text = f"{name}: {kind} of {', '.join(others)}: the machine's own resources apply"
                found.leave_out(resources.line_of(kind), text)


def tell_of_the_rest(
    found: Conversion, graph: Manifest, manifests: Sequence[Manifest], understood: Sequence[str]
) -> None:
    """Report the rest of the deployment itself, and other resources in the file."""
    tell(found, graph.spec, "spec", graph.name)
    for manifest in manifests:
        if manifest.kind not in understood:
            text = f"{manifest.kind or 'a document without a kind'} {manifest.name}: it has no counterpart"
            found.leave_out(manifest.lines.get(("kind",), 1), text)


def tell(found: Conversion, part: Part, level: str, name: str) -> None:
    """Report each key that is not read; `level` names the keys that are."""
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
    """The image, as written in a container, or in parts."""
    given = part.data["image"]
    if not isinstance(given, dict):
        return f"image {given}"
    return f"image {part.part('image').text('repository')}:{part.part('image').text('tag')}"


def _once(found: Conversion, line: int, text: str) -> None:
    """Report once, at its first occurrence, what is the same for several."""
    if all(remark.text != text for remark in found.left_out):
        found.leave_out(line, text)


def _is_connection(part: Part, key: str) -> bool:
    """Whether a volume mounts the file of LMCache's operator, which only means that LMCache is used."""
    if key not in ("volumes", "volumeMounts"):
        return False
    return all(CONNECTION in volume.text("name") for volume in part.parts(key))
