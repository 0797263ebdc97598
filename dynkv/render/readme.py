"""The README of what is exported: what it needs, how its secrets are given, how it starts, what was lost. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dynkv.plan.model import Plan
from dynkv.profile.model import Profile

_WIDTH = 120


@dataclass(frozen=True, slots=True)
class Readme:
    title: str
    needs: Sequence[str]
    start: Sequence[str]
    """Commands, as a shell takes them."""
    lost: Sequence[tuple[str, str]]
    """What `dynkv up` gives, and what there is instead."""
    secrets: Sequence[str] = ()
    """Paragraphs, and commands that are indented by four spaces."""

    def text(self) -> str:
        parts = [f"# {self.title}", "Written by `dynkv export`.", "## What it needs", *_items(self.needs)]
        if self.secrets:
            parts += ["## Secrets", *map(_paragraph, self.secrets)]
        parts += ["## Start it", "\n".join(["```sh", *self.start, "```"])]
        if self.lost:
            parts += ["## What was lost on the way", *_items(f"**{what}**: {instead}" for what, instead in self.lost)]
        return "\n\n".join(parts) + "\n"


def lost_with_the_supervisor(profile: Profile, plan: Plan) -> list[tuple[str, str]]:
    """What no container gives that runs one of the plan's processes alone."""
    found = [
        ("GPU memory gate", "a worker that comes back does not wait until the memory of the one before it is free"),
        ("Adoption", "processes end with their container, and whoever comes next begins anew"),
        ("Clearing up", "nobody releases a dead worker's registration at LMCache before LMCache does by itself"),
        ("Proof", "nobody asks for a real token before the deployment counts as ready"),
        ("Restart budget", "`restart` of the profile is not heeded, and nothing is ever given up"),
        ("Your shell's variables", "none was taken over: what the stack is to be given stands in the profile's `env`"),
    ]
    if profile.standby != "off":
        found.insert(0, ("Standby", "each start of a worker does its imports anew"))
    if loras := plan.workers[0].loras if plan.workers else ():
        told = ", ".join(lora.name for lora in loras)
        found.append(("LoRA adapters", f"a worker is told of none after its start: {told}"))
    if profile.cluster.is_set:
        found.append(("Nodes", "this is the whole deployment, and not the part of one node; `cluster` is not heeded"))
    if profile.units:
        told = ", ".join(unit.name for unit in profile.units)
        found.append(("Units of your own", f"an image for each is yours to name: {told}"))
    if profile.notify:
        found.append(("Notifications", "nobody is told when it is not well"))
    if profile.frontend.record:
        found.append(("Recording", "`dynkv record` has nothing to read"))
    return found


def secret_names(plan: Plan) -> tuple[str, ...]:
    """Of secrets that several units have in common."""
    return tuple(sorted({name for unit in plan.units for name in unit.secret_env}))


def _items(texts: Iterable[str]) -> list[str]:
    lines = [textwrap.wrap(text, _WIDTH - 2, break_long_words=False, break_on_hyphens=False) for text in texts]
    return ["\n".join("- " + "\n  ".join(wrapped) for wrapped in lines)]


def _paragraph(text: str) -> str:
    if text.startswith("    "):
        return "\n".join(["```sh", *(line[4:] for line in text.splitlines()), "```"])
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
