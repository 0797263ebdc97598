"""The output of each target for a profile, for fixed machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hosts import host, plan

from dynkv.plan.facts import ModelFacts
from dynkv.plan.model import Plan
from dynkv.profile.load import LoadedProfile, Override, load, shipped
from dynkv.render.cluster import Cluster
from dynkv.render.compose import compose_files
from dynkv.render.elsewhere import plan_elsewhere
from dynkv.render.k8s import k8s_files
from dynkv.render.shell import shell_files
from dynkv.render.systemd import systemd_files

IMAGE = "registry/vllm-runtime:1.6.0"
STACKS = [name for name in shipped() if name != "infra"]
"""Shipped profiles with a stack; for custom units alone dynkv could not name an image."""
CLUSTER = Cluster(IMAGE, "registry/lmcache:v0.5.6")
Files = dict[str, str]


def loaded(name: str, settings: Mapping[str, Any] | None = None) -> LoadedProfile:
    given = [Override(tuple(key.split(".")), value, f"--set {key}") for key, value in (settings or {}).items()]
    return load(name, given)


def planned(name: str, settings: Mapping[str, Any] | None = None, gpus: int = 0) -> tuple[LoadedProfile, Plan]:
    """A plan for another machine, with a model of the hub unless it is a directory."""
    profile = loaded(name, settings)
    path = profile.profile.model.path
    model = ModelFacts(path.startswith("/"), False, path if path.startswith("/") else "")
    return profile, plan_elsewhere(profile.profile, name, name, gpus, model)


def k8s(name: str, settings: Mapping[str, Any] | None = None, gpus: int = 0, cluster: Cluster = CLUSTER) -> Files:
    profile, made = planned(name, settings, gpus)
    return k8s_files(profile.profile, made, cluster)


def compose(name: str, settings: Mapping[str, Any] | None = None, gpus: int = 0) -> Files:
    profile, made = planned(name, settings, gpus)
    return compose_files(profile.profile, made, IMAGE)


def systemd(name: str, settings: Mapping[str, Any] | None = None) -> Files:
    return systemd_files(loaded(name, settings).profile, name, "", is_user=False)


def shell(name: str, settings: Mapping[str, Any] | None = None) -> Files:
    return shell_files(plan(name, host(2), settings))


TARGETS: dict[str, Callable[..., Files]] = {"k8s": k8s, "compose": compose, "systemd": systemd, "shell": shell}
