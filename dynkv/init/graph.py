"""Turning a DynamoGraphDeployment of the vLLM backend into a profile, and reporting what has no counterpart. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from dynkv.errors import ScriptError
from dynkv.init.commands import CONNECTION, started
from dynkv.init.component import Component, components
from dynkv.init.conversion import Conversion
from dynkv.init.engine import server
from dynkv.init.manifest import Manifest
from dynkv.init.programs import Kind, Program, recognized
from dynkv.init.remains import tell_of_component, tell_of_the_rest
from dynkv.init.script import convert
from dynkv.init.variables import variables
from dynkv.profile.model import Stop

GRAPH, ENGINE = "DynamoGraphDeployment", "LMCacheEngine"
_WORKERS = (Kind.WORKER, Kind.MOCKER)
_RANKS = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
_PATIENCE = "terminationGracePeriodSeconds"
_INJECTED = "lmcache.ai/lmcache-inject"
"""The label of a pod that LMCache's operator connects (LMCache/LMCache 03b05250, docs/source/mp/operator.rst)."""


def converted_graph(manifests: Sequence[Manifest], file: str) -> Conversion:
    """Convert the only deployment in a file, with its LMCacheEngine if there is one.

    Raises ScriptError if there is none, or if no profile can express it.
    """
    graph = _graph(manifests)
    found = Conversion()
    parts = list(components(graph))
    programs = [program for part in parts for program in _programs(found, part)]
    _refuse_other_backends(programs)
    servers = _servers(found, manifests, parts, programs)
    convert(found, [*servers, *_with_gpus(programs, parts)], file)
    _settle(found, parts, servers)
    tell_of_the_rest(found, graph, manifests, (GRAPH, ENGINE))
    found.put_in_order()
    return found


def _graph(manifests: Sequence[Manifest]) -> Manifest:
    graphs = [manifest for manifest in manifests if manifest.kind == GRAPH]
    if len(graphs) != 1:
        found = f"{len(graphs)} of them" if graphs else "none"
        raise ScriptError(f"expected one {GRAPH}, but there is {found}", hint="a profile is one deployment")
    graph = graphs[0]
    backend = graph.spec.text("backendFramework")
    if backend not in ("", "vllm"):
        line = graph.spec.line_of("backendFramework")
        raise ScriptError(f"its backend is {backend}, but dynkv runs Dynamo's vLLM backend", line)
    return graph


def _programs(found: Conversion, component: Component) -> list[Program]:
    """The component's programs; for workers, one for each replica."""
    if "multinode" in component.part.data:
        raise ScriptError(
            f"{component.name} spreads a worker over machines, but a deployment runs on one",
            component.part.line_of("multinode"),
        )
    tell_of_component(found, component)
    if component.kind in ("planner", "epp"):
        found.leave_out(component.line, f"{component.name}: dynkv has no {component.kind}")
        return []
    env = variables(found, component.env)
    programs = [program for program in map(recognized, started(found, component, env)) if program.argv]
    if component.replicas == 0:
        found.leave_out(component.line, f"{component.name}: it has no replicas")
        return []
    if component.replicas > 1 and all(program.kind not in _WORKERS for program in programs):
        found.leave_out(component.line, f"{component.name}: {component.replicas} of them, but a deployment has one")
        return programs
    return programs * component.replicas


def _refuse_other_backends(programs: Sequence[Program]) -> None:
    """Raise ScriptError if there is no worker of a kind that dynkv plans."""
    if any(program.kind in _WORKERS for program in programs):
        return
    other = next((it for it in programs if it.kind not in (Kind.FRONTEND, Kind.OTHER)), None)
    if other is None:
        raise ScriptError("it starts no worker of Dynamo's vLLM backend")
    raise ScriptError(f"`{other.shown()}` is not a worker that dynkv plans", other.line)


def _with_gpus(programs: Sequence[Program], parts: Sequence[Component]) -> list[Program]:
    """Give each worker GPUs of its own, as in a cluster; which ones is decided later."""
    counts = {part.line: max(part.gpus, 1) for part in parts}
    made: list[Program] = []
    first = 0
    for program in programs:
        if program.kind is Kind.WORKER:
            count = counts[program.line]
            gpus = ",".join(map(str, range(first, first + count)))
            program, first = replace(program, env={**program.env, "CUDA_VISIBLE_DEVICES": gpus}), first + count
        made.append(program)
    return made


def _servers(
    found: Conversion,
    manifests: Sequence[Manifest],
    parts: Sequence[Component],
    programs: Sequence[Program],
) -> list[Program]:
    """LMCache's server, from its resource or inferred from the workers."""
    engines = [manifest for manifest in manifests if manifest.kind == ENGINE]
    if engines:
        for other in engines[1:]:
            found.leave_out(other.spec.line, f"{ENGINE} {other.name}: a deployment has one sidecar")
        return [server(found, engines[0])]
    users = [part.line for part in parts if _is_connected(part)]
    users += [program.line for program in programs if any("LMCacheMPConnector" in word for word in program.argv)]
    if not users:
        return []
    found.leave_out(min(users), f"the {ENGINE} that it connects to is not in the file: put both into one")
    return [Program(Kind.LMCACHE, min(users), ("lmcache", "server"), (), {})]


def _is_connected(part: Component) -> bool:
    labels = part.part.part("podTemplate").part("metadata").part("labels").data
    labels = {**labels, **part.part.part("extraPodMetadata").part("labels").data}
    mounts = [mount.text("name") for mount in part.container.parts("volumeMounts")]
    return str(labels.get(_INJECTED, "")) == "true" or any(CONNECTION in name for name in mounts)


def _settle(found: Conversion, parts: Sequence[Component], servers: Sequence[Program]) -> None:
    """Settle the differences from a script: the machine's GPUs are used, and the stop timeout is given."""
    draft = found.draft
    draft.entries.pop("workers.gpus", None)
    found.planned.discard("CUDA_VISIBLE_DEVICES")
    if servers and draft.get("lmcache.l1_size_gb") is None:
        draft.put("lmcache.l1_size_gb", "auto")
    ranks = 1
    for size in _RANKS:
        ranks *= int(draft.get(f"workers.{size}") or 1)
    for part in parts:
        if part.gpus not in (0, ranks):
            text = f"{part.name} has {part.gpus} GPUs: a worker uses the product of its sizes, {ranks}"
            found.leave_out(part.line, text)
    patience = {"frontend": "frontend_s", "worker": "worker_s", "decode": "worker_s"}
    for part in parts:
        given, name = part.pod.data.get(_PATIENCE), patience.get(part.kind)
        if isinstance(given, int) and given > 0 and name is not None and given != getattr(Stop(), name):
            draft.put(f"stop.{name}", given, f"line {part.pod.line_of(_PATIENCE)}")
