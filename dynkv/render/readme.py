"""The README of an export: requirements, secrets, how to start it, and what is lost. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from msgspec import Struct

from dynkv.plan.model import Plan
from dynkv.profile.model import Profile

_WIDTH = 120


class Readme(Struct, frozen=True):
    title: str
    needs: Sequence[str]
    start: Sequence[str]
    """Commands for a shell."""
    lost: Sequence[tuple[str, str]]
    """What `dynkv up` offers, and what replaces it."""
    secrets: Sequence[str] = ()
    """Paragraphs, and commands indented by four spaces."""

    def text(self) -> str:
        parts = [f"# {self.title}", "Written by `dynkv export`.", "## What it needs", *_items(self.needs)]
        if self.secrets:
            parts += ["## Secrets", *map(_paragraph, self.secrets)]
        parts += ["## Start it", "\n".join(["```sh", *self.start, "```"])]
        if self.lost:
            parts += ["## What is lost", *_items(f"**{what}**: {instead}" for what, instead in self.lost)]
        return "\n\n".join(parts) + "\n"


def lost_with_the_supervisor(profile: Profile, plan: Plan) -> list[tuple[str, str]]:
    """What a container that runs one of the plan's processes cannot offer."""
    found = [
        ("GPU memory gate", "a restarted worker does not wait until its predecessor's memory is free"),
        ("Adoption", "processes end with their container, and the next one starts from scratch"),
        ("Cleaning up", "nothing releases a dead worker's registration at LMCache before LMCache itself does"),
        ("Proof", "no real token is requested before the deployment counts as ready"),
        ("Restart budget", "the profile's `restart` is ignored, and no unit is ever given up"),
        ("Your shell's variables", "none is used: write what the stack needs into the profile's `env`"),
    ]
    if profile.standby != "off":
        found.insert(0, ("Standby", "each start of a worker repeats its imports"))
    if loras := plan.workers[0].loras if plan.workers else ():
        told = ", ".join(lora.name for lora in loras)
        found.append(("LoRA adapters", f"no worker is told to load them: {told}"))
    if profile.cluster.is_set:
        found.append(("Nodes", "this is the whole deployment, not the part of one node; `cluster` is ignored"))
    if profile.units:
        told = ", ".join(unit.name for unit in profile.units)
        found.append(("Custom units", f"they have no images and are left out: {told}"))
    if profile.notify:
        found.append(("Notifications", "nobody is notified when it is not well"))
    if profile.frontend.record:
        found.append(("Recording", "`dynkv record` has nothing to read"))
    return found


def secret_names(plan: Plan) -> tuple[str, ...]:
    """Names of secrets that several units share."""
    return tuple(sorted({name for unit in plan.units for name in unit.secret_env}))


def _items(texts: Iterable[str]) -> list[str]:
    lines = [textwrap.wrap(text, _WIDTH - 2, break_long_words=False, break_on_hyphens=False) for text in texts]
    return ["\n".join("- " + "\n  ".join(wrapped) for wrapped in lines)]


def _paragraph(text: str) -> str:
    if text.startswith("    "):
        return "\n".join(["```sh", *(line[4:] for line in text.splitlines()), "```"])
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
