"""Ports and GPUs: who gets which. Pure; what is taken already comes in as HostFacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise

from dynkv.errors import PortTaken, PreflightRefused, UsageError
from dynkv.plan.facts import Gpu
from dynkv.plan.model import Role

SYSTEM_PORT_MAX = 32767
"""Dynamo reads DYN_SYSTEM_PORT as a 16-bit signed number (ai-dynamo 1.6.1)."""
PORT_MAX = 65535


@dataclass(slots=True)
class PortPlanner:
    """Gives out each port once. `taken` maps ports in use on the host to their holders in words."""

    taken: dict[int, str]
    kept: dict[str, int] = field(default_factory=dict)
    """Ports that a running child of this deployment has already, by `unit.name`."""
    given: set[int] = field(default_factory=set)

    def fixed(self, port: int, key: str, where: str = "") -> int:
        """Exactly this port; raises PortTaken. For ports that people rely on."""
        if port in self.taken:
            raise PortTaken(port, self.taken[port], key=key, where=where)
        self.given.add(port)
        return port

    def free_from(self, first: int, name: str, count: int = 1, highest: int = PORT_MAX) -> int:
        """The first of `count` free neighbours at or above `first`, or what `name` has already.

        Raises PreflightRefused if there are none.
        """
        own = self.kept.get(name)
        others = {port for other, port in self.kept.items() if other != name}
        for port in chain([] if own is None else [own], range(first, highest - count + 2)):
            block = range(port, port + count)
            if not any(p in self.taken or p in self.given or p in others for p in block):
                self.given.update(block)
                return port
        raise PreflightRefused(f"no free port from {first} to {highest}", hint="end what holds them, or start lower")


def select_gpus(wanted: str | Sequence[int | str], gpus: Sequence[Gpu], *, may_repeat: bool) -> tuple[Gpu, ...]:
    """The GPUs that the profile names by index, UUID or MIG id, in its order; all of the host's for `all`.

    Raises UsageError for one named twice without `may_repeat`, PreflightRefused for one that is not there.
    """
    if not gpus:
        raise PreflightRefused(
            "this host has no NVIDIA GPU, and the profile's device is cuda",
            hint="run on the CPU: --device cpu --model tiny; or without an engine: --engine mocker --model tiny",
        )
    if wanted == "all":
        return tuple(gpus)
    chosen = tuple(_find_gpu(name, gpus) for name in wanted)
    if not chosen:
        raise UsageError("the list of GPUs is empty", hint="name at least one: --gpus 0")
    doubles = [g for i, g in enumerate(chosen) if g in chosen[:i]]
    if doubles and not may_repeat:
        raise UsageError(
            f"GPU {doubles[0].visible_as} is listed twice",
            hint="list each once; to put several workers on one GPU set workers.share_gpus=true and memory fractions",
        )
    return chosen


def _find_gpu(name: int | str, gpus: Sequence[Gpu]) -> Gpu:
    for gpu in gpus:
        if str(name) in (gpu.uuid, gpu.visible_as):
            return gpu
    known = ", ".join(f"{g.visible_as} ({g.name})" for g in gpus)
    raise PreflightRefused(f"there is no GPU {name} on this host", hint=f"there is {known}")


def group_gpus(gpus: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Cut into groups of `size`, one for each tensor parallel worker; a rest that fills no group stays unused."""
    return [tuple(gpus[i : i + size]) for i in range(0, len(gpus) - size + 1, size)]


def share_cpus(cpus: Sequence[int], shares: int) -> list[tuple[int, ...]]:
    """Cut into neighbouring parts of nearly one size; where there are too few, several parts are the same CPU."""
    if shares > len(cpus):
        return [(cpus[i % len(cpus)],) for i in range(shares)]
    cuts = [i * len(cpus) // shares for i in range(shares + 1)]
    return [tuple(cpus[a:b]) for a, b in pairwise(cuts)]


def split_roles(groups: int, decode_per_prefill: int) -> tuple[int, int]:
    """How many of `groups` go to (decode, prefill): one each of two, and decode gets the most of more."""
    prefill = max(1, groups // (1 + decode_per_prefill))
    return groups - prefill, prefill


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker to be: its role, its number within the role, and its GPUs, or its CPUs where these compute."""

    role: Role
    number: int
    gpus: tuple[str, ...] = ()
    cpus: tuple[int, ...] = ()

    @property
    def unit(self) -> str:
        return f"{self.role}-{self.number}"
