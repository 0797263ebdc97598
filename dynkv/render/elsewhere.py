"""A profile planned for another machine: nothing of this host is in it. Pure."""

from __future__ import annotations

from collections.abc import Collection

from dynkv.errors import UsageError
from dynkv.plan.build import build
from dynkv.plan.facts import HostFacts, ModelFacts
from dynkv.plan.gpus import Gpu
from dynkv.plan.model import Plan, Role
from dynkv.plan.served_model import TINY
from dynkv.profile.cluster import Cluster
from dynkv.profile.engines import ENGINES
from dynkv.profile.model import Profile

HOME = "/var/lib/dynkv"
"""Persistent directory in each container: discovery, L2, compilers' output, models of the hub."""
PYTHON = "python3"
_VERSIONS = {"ai-dynamo": "1.6.1", "vllm": "0.31.0", "lmcache": "0.5.6"}
"""The versions whose options dynkv knows."""
_PLENTY = 2**50


def plan_elsewhere(
    profile: Profile, profile_name: str, name: str, gpus: int, model: ModelFacts, secrets: Collection[str] = ()
) -> Plan:
    """What `up` would start on a machine with this many GPUs, or as many as needed, and nothing else on it.

    `secrets` are the names of those that the person has here. Raises UsageError for what no container of Dynamo's
    images can run, PreflightRefused if the profile lists too few GPUs.
    """
    _refuse_what_no_image_runs(profile)
    profile = whole(profile)
    hub = () if model.is_local else ("HF_TOKEN",)
    facts = HostFacts(
        gpus=_gpus(profile, max(gpus, fewest_gpus(profile))),
        memory_available_bytes=_PLENTY,
        environ={} if model.is_local else {"HF_HOME": f"{HOME}/huggingface"},
        secret_names=tuple(sorted({*hub, *secrets})),
        python=PYTHON,
        python_options=(),
        packages=_VERSIONS,
        model=model,
    )
    plan = build(profile, facts, name=name, profile_name=profile_name, home=HOME)
    _refuse_what_is_not_in_an_image(plan, facts.scripts_directory)
    return plan


def whole(profile: Profile) -> Profile:
    """The profile with all roles, if it is of one node: where it runs elsewhere, discovery is different."""
    if not profile.cluster.is_set:
        return profile
    given = profile.workers
    decode, prefill = (it.model_copy(update={"replicas": it.replicas or None}) for it in (given.decode, given.prefill))
    workers = {"replicas": given.replicas or None, "decode": decode, "prefill": prefill}
    return profile.model_copy(
        update={
            "cluster": Cluster(),
            "frontend": profile.frontend.model_copy(update={"enabled": True}),
            "workers": given.model_copy(update=workers),
        }
    )


def fewest_gpus(profile: Profile) -> int:
    """The fewest GPUs for the profile: those of one worker of each role, or of as many as it sets."""
    workers = profile.workers
    if workers.gpus != "all":
        return len(workers.gpus)
    if workers.share_gpus:
        return workers.ranks
    if profile.topology == "disagg":
        return ((workers.decode.replicas or 1) + (workers.prefill.replicas or 1)) * workers.ranks
    return (workers.replicas or workers.min_replicas) * workers.ranks


def _gpus(profile: Profile, count: int) -> tuple[Gpu, ...]:
    """The GPUs that the profile lists, or the first ones."""
    named = profile.workers.gpus
    names = range(count) if named == "all" else dict.fromkeys(named)
    return tuple(
        Gpu(name if isinstance(name, int) else number, str(name), "a GPU", _PLENTY, _PLENTY, isinstance(name, str))
        for number, name in enumerate(names)
    )


def _refuse_what_is_not_in_an_image(plan: Plan, scripts: str) -> None:
    """Raises UsageError for a program of the stack's that is none of its modules: a container has nothing else."""
    hint = "`dynkv export systemd` and `dynkv export shell` take it; or use another engine: --engine"
    for unit in plan.units:
        script = next((word.rpartition("/")[2] for word in unit.argv if word.startswith(f"{scripts}/")), None)
        if unit.role.is_own:
            continue
        if script is not None:
            raise UsageError(f"{unit.name} is run by a script of dynkv's, {script}, and no image has it", hint=hint)
        if unit.role is not Role.LMCACHE and unit.argv[:2] != (PYTHON, "-m"):
            raise UsageError(f"{unit.name} is no module of the stack, and no image is known to have it", hint=hint)


def _refuse_what_no_image_runs(profile: Profile) -> None:
    if profile.topology == "none":
        raise UsageError(
            "this profile has only custom units, for which there are no images",
            hint="`dynkv export systemd` and `dynkv export shell` take any profile",
        )
    if profile.device == "cpu" and ENGINES[profile.engine].runs_vllm:
        raise UsageError(
            "the images of Dynamo's releases have vLLM for GPUs, but the profile's device is cpu", hint="--device cuda"
        )
    if profile.model.path == TINY:
        raise UsageError(
            "dynkv makes the model `tiny` where it runs, and no image has it",
            hint="use a model from the hub or a directory: --model Qwen/Qwen3-0.6B",
        )
