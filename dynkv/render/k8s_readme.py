"""The README of an export for Kubernetes. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from dynkv.plan.model import Plan
from dynkv.profile.model import Profile
from dynkv.render.cluster import Cluster, has_sidecar, is_local, models_directory, own_secret, resource_name
from dynkv.render.readme import Readme, lost_with_the_supervisor, secret_names

FILE = "deployment.yaml"


def k8s_readme(profile: Profile, plan: Plan, cluster: Cluster) -> Readme:
    name, scope = resource_name(plan.name), _scope(cluster)
    start = [
        f"kubectl apply{scope} --filename {FILE}",
        f"kubectl get{scope} dynamographdeployment {name}",
        f"kubectl port-forward{scope} service/{name}-frontend 8000:8000",
    ]
    needs, secrets = list(_needs(profile, plan, cluster)), list(_secrets(plan, cluster))
    return Readme(f"{plan.name} for Kubernetes", needs, start, list(_lost(profile, plan)), secrets)


def _scope(cluster: Cluster) -> str:
    return f" --namespace {cluster.namespace}" if cluster.namespace else ""


def _needs(profile: Profile, plan: Plan, cluster: Cluster) -> Iterable[str]:
    yield (
        "Dynamo's operator with the CRD DynamoGraphDeployment, version nvidia.com/v1beta1, as of its revision 006b6e10."
    )
    yield (
        f"`{cluster.image}`, or another image with the same stack: `--image`. The arguments are those of ai-dynamo "
        "1.6.1 and vllm 0.31.0."
    )
    gpus = sum(len(unit.gpus) for unit in plan.workers)
    if gpus:
        yield f"Nodes with {gpus} GPU{'s' if gpus > 1 else ''} in all, as `nvidia.com/gpu`: each worker has its own."
    if has_sidecar(plan):
        yield (
            "LMCache's operator (https://github.com/LMCache/LMCache, operator/) with the CRD LMCacheEngine, version "
            "lmcache.lmcache.ai/v1alpha1, as of its revisions 03b05250 and ad08eead. It requires cert-manager. "
            "An older one refuses the line `isolatedIPC`, which can then be removed."
        )
        yield (
            f"`{cluster.lmcache_image}`, or one with the same lmcache as the workers' image: `--lmcache-image`. "
            "The arguments are those of lmcache 0.5.6."
        )
        yield (
            "A namespace in which pods may use the host's IPC and run as root: CUDA IPC between a worker and LMCache "
            "requires both."
        )
    if cluster.claim:
        where = models_directory(profile)
        yield f"The PersistentVolumeClaim `{cluster.claim}`, mounted at `{where}`: {_held(profile)}."


def _held(profile: Profile) -> str:
    if is_local(profile):
        return f"the model must be in its directory `{profile.model.path.rstrip('/').rpartition('/')[2]}`"
    return "downloads from the hub are kept there"


def _secrets(plan: Plan, cluster: Cluster) -> Iterable[str]:
    own = {own_secret(plan, unit): tuple(unit.own_secrets) for unit in plan.units if unit.own_secrets}
    secrets = {**({cluster.secret: secret_names(plan)} if secret_names(plan) else {}), **own}
    if not secrets:
        return
    yield "These files contain no secrets. They refer to Secrets of the cluster, which you create once:"
    for secret, names in secrets.items():
        given = " ".join(f'--from-literal={name}="${name}"' for name in names)
        yield f"    kubectl create secret generic{_scope(cluster)} {secret} {given}"
    if secret_names(plan) == ("HF_TOKEN",):
        yield f"A public model needs none: the deployment also starts without `{cluster.secret}`."


def _lost(profile: Profile, plan: Plan) -> Iterable[tuple[str, str]]:
    yield from lost_with_the_supervisor(profile, plan)
    yield "Hang checks", "the operator probes `/live`, and `/health` for readiness, but not whether tokens are produced"
    yield "Ports, GPUs and discovery of the profile", "the operator and the cluster provide them"
    yield "Order of start", "all start at once, and a worker that does not find LMCache starts again"
    yield "Monitoring at one address", "`dynkv status`, `dynkv top` and the metrics of all units: use the operator's"
    shares = len({gpu for unit in plan.workers for gpu in unit.gpus}) < sum(len(unit.gpus) for unit in plan.workers)
    if shares:
        yield (
            "Shared GPUs",
            "each worker requests its own GPU, and takes the profile's share of it; raise "
            "`--gpu-memory-utilization`, or let the device plugin share GPUs",
        )
    if has_sidecar(plan):
        yield "One LMCache for all", "each node has its own, so a worker only finds what was computed on its node"
        yield "`lmcache.heartbeat_interval_s`", "the operator's ConfigMap keeps LMCache's default of 10 s"
        if profile.observability.otlp is not None:
            yield (
                "LMCache's `/metrics`",
                "with an OTLP endpoint LMCache pushes its metrics there instead (lmcache 0.5.6)",
            )
        if plan.l2_directories:
            told = ", ".join(f"`{path}`" for path in plan.l2_directories)
            yield "One L2 for all", f"each node keeps its own, in its directory {told}"
    if profile.discovery.backend == "etcd" or profile.discovery.nats_server:
        yield "`discovery`", "the operator's settings determine it"
