"""`export`: write a profile as files for other programs, with a README that says what is lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from dynkv.cli.manual import below_options
from dynkv.cli.options import (
    DeviceOption,
    EngineOption,
    GpusOption,
    ModelOption,
    NameOption,
    NoLMCacheOption,
    ProfileArgument,
    SetOption,
)
from dynkv.cli.planned import locate, make_plan, overrides
from dynkv.cli.report import say
from dynkv.cli.written import ForceOption, OutOption, write
from dynkv.doctor.inspect import model_facts
from dynkv.errors import UsageError
from dynkv.host.gpus import gpus as gpus_here
from dynkv.plan.environment import handed_on_as_secrets
from dynkv.plan.facts import ModelFacts
from dynkv.plan.model import Plan
from dynkv.profile.load import LoadedProfile, Override

RUNTIME_IMAGE = "nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.6.0"
"""An image with the versions whose options dynkv knows, as in Dynamo's guide "Rolling Updates" (docs of 1.6)."""
LMCACHE_IMAGE = "lmcache/standalone:v0.5.2"
"""The image in LMCache's example for Dynamo (LMCache/LMCache ad08eead, examples/dynamo_integration/kubernetes)."""
ImageOption = Annotated[
    str, typer.Option("--image", help="The image with Dynamo and vLLM, with a tag; best in dynkv's versions.")
]

export = typer.Typer(help="Write a profile as files that other programs run: Kubernetes, Compose, systemd, bash.")


@export.callback(invoke_without_command=True)
def targets(context: typer.Context) -> None:
    """List the targets."""
    if context.invoked_subcommand is None:
        commands = getattr(context.command, "commands", {})
        for name, command in commands.items():
            say(f"{name}: {command.help.partition(chr(10))[0]}")


@export.command("k8s", epilog=below_options("export k8s"))
def k8s(
    profile: ProfileArgument,
    out: OutOption,
    image: ImageOption = RUNTIME_IMAGE,
    lmcache_image: Annotated[
        str, typer.Option("--lmcache-image", help="The image of LMCache's server, with the same lmcache as --image.")
    ] = LMCACHE_IMAGE,
    namespace: Annotated[str | None, typer.Option("--namespace", help="The namespace of both resources.")] = None,
    secret: Annotated[str, typer.Option("--secret", help="The Secret that holds what is left out of the files.")] = (
        "hf-token-secret"
    ),
    model_pvc: Annotated[
        str | None,
        typer.Option("--model-pvc", metavar="CLAIM", help="The volume with the model, or for what is downloaded."),
    ] = None,
    gpus: GpusOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    device: DeviceOption = None,
    name: NameOption = None,
    sets: SetOption = None,
    no_lmcache: NoLMCacheOption = False,
    force: ForceOption = False,
) -> None:
    """A DynamoGraphDeployment and an LMCacheEngine, for the operators of Dynamo and LMCache.

    It has as many workers as `up` would start here, or as the profile needs if there are too few GPUs.
    """
    from dynkv.render.cluster import Cluster, is_local
    from dynkv.render.k8s import k8s_files

    given = overrides(gpus, model, engine, device, no_lmcache, sets)
    loaded, plan = _elsewhere(profile, name, given)
    if is_local(loaded.profile) and model_pvc is None:
        raise UsageError(
            f"the model is a directory, {loaded.profile.model.path}, which no pod of a cluster has",
            hint="name a PersistentVolumeClaim that holds it: --model-pvc; or a model from the hub: --model",
        )
    for option, value in {"--image": image, "--lmcache-image": lmcache_image}.items():
        if ":" not in value.rpartition("/")[2]:
            raise UsageError(f"{option} {value} has no tag", hint="such as " + RUNTIME_IMAGE)
    cluster = Cluster(image, lmcache_image, namespace, secret, model_pvc)
    _write(out, k8s_files(loaded.profile, plan, cluster), plan.name, force=force)


@export.command("compose", epilog=below_options("export compose"))
def compose(
    profile: ProfileArgument,
    out: OutOption,
    image: ImageOption = RUNTIME_IMAGE,
    gpus: GpusOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    device: DeviceOption = None,
    name: NameOption = None,
    sets: SetOption = None,
    no_lmcache: NoLMCacheOption = False,
    force: ForceOption = False,
) -> None:
    """A Compose file with a service for each process, for one machine.

    It uses the GPUs of this machine, or as many as the profile needs if there are too few.
    """
    from dynkv.render.compose import compose_files

    given = overrides(gpus, model, engine, device, no_lmcache, sets)
    loaded, plan = _elsewhere(profile, name, given)
    _write(out, compose_files(loaded.profile, plan, image), plan.name, force=force)


@export.command("systemd", epilog=below_options("export systemd"))
def systemd(
    profile: ProfileArgument,
    out: OutOption,
    program: Annotated[
        str, typer.Option("--program", metavar="PATH", help="Path of dynkv on that machine; in /opt/dynkv if omitted.")
    ] = "",
    user: Annotated[bool, typer.Option("--user", help="For a user's service manager, without root.")] = False,
    gpus: GpusOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    device: DeviceOption = None,
    name: NameOption = None,
    sets: SetOption = None,
    no_lmcache: NoLMCacheOption = False,
    force: ForceOption = False,
) -> None:
    """A unit that runs the supervisor, so that everything `up` offers stays, and the profile next to it as one file."""
    from dynkv.render.systemd import systemd_files

    loaded, called, _ = _settled(profile, name, overrides(gpus, model, engine, device, no_lmcache, sets))
    _write(out, systemd_files(loaded.profile, called, program, is_user=user), called, force=force)


@export.command("shell", epilog=below_options("export shell"))
def shell(
    profile: ProfileArgument,
    out: OutOption,
    gpus: GpusOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    device: DeviceOption = None,
    name: NameOption = None,
    sets: SetOption = None,
    no_lmcache: NoLMCacheOption = False,
    force: ForceOption = False,
) -> None:
    """The script of `dynkv plan --shell`: the same processes on this machine, without a supervisor."""
    from dynkv.render.shell import shell_files

    planned = make_plan(*locate(profile, name, overrides(gpus, model, engine, device, no_lmcache, sets)))
    _write(out, shell_files(planned.plan), planned.plan.name, force=force)


def _elsewhere(profile: str, name: str | None, given: list[Override]) -> tuple[LoadedProfile, Plan]:
    """The plan for another machine: with at least this machine's number of GPUs, and nothing else of it but secrets'
    names."""
    from dynkv.render.elsewhere import plan_elsewhere

    loaded, called, model = _settled(profile, name, given)
    secrets = handed_on_as_secrets(os.environ)
    return loaded, plan_elsewhere(loaded.profile, loaded.name, called, len(gpus_here()), model, secrets)


def _settled(profile: str, name: str | None, given: list[Override]) -> tuple[LoadedProfile, str, ModelFacts]:
    """The profile with an absolute path for a model directory, the deployment's name, and the model's facts."""
    loaded, where = locate(profile, name, given)
    model = model_facts(loaded.profile.model.path)
    if model.path:
        whole = loaded.profile.model.model_copy(update={"path": model.path})
        loaded = replace(loaded, profile=loaded.profile.model_copy(update={"model": whole}))
    return loaded, where.name, model


def _write(out: Path, texts: dict[str, str], name: str, *, force: bool) -> None:
    write(out, texts, force=force)
    say(f"{len(texts)} files are in {out}, for {name}: {', '.join(sorted(texts))}")
    say(f"what it needs, how it starts and what was lost: {out / 'README.md'}")
