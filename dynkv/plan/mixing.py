"""What two versions of the stack cannot do together while a change leads from one to the other. Pure.

What has not been run is reported as unknown.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from dynkv.plan.model import Plan, Role
from dynkv.plan.versions import numbers
from dynkv.profile.engines import ENGINES
from dynkv.profile.engines import Versions as Pair

# the frontend and the sidecar change before the workers, so they are of the second version
_LMCACHE: tuple[Pair, ...] = (((0, 5, 2), (0, 5, 6)),)
"""Versions of lmcache of which the second's sidecar does not serve the first's workers: it reported "Payload count does
not match expected count", and running requests stood still for the minute until their worker had changed."""
_LMCACHE_WELL: tuple[Pair, ...] = (((0, 5, 6), (0, 5, 2)),)
"""Versions that cost no more than the restart of the sidecar does: the workers compute without it until they change."""


class Versions(Struct, frozen=True):
    """The versions of one package before a change and after it; None if unknown."""

    package: str
    before: str | None
    after: str | None
    is_one_interpreter: bool = False

    @property
    def may_differ(self) -> bool:
        are_unknown = self.before is None and self.after is None
        return not self.is_one_interpreter if are_unknown else self.before != self.after

    @property
    def differ(self) -> bool:
        return self.before is not None and self.after is not None and self.before != self.after

    def are_among(self, pairs: tuple[Pair, ...]) -> bool:
        return (numbers(self.before or ""), numbers(self.after or "")) in pairs

    def __str__(self) -> str:
        before, after = (it or "of an unknown version" for it in (self.before, self.after))
        return f"{self.package} {before} and {after}"


def versions(package: str, running: Plan, wanted: Plan) -> Versions:
    engine = ENGINES[wanted.engine]
    names = {**engine.packages, **engine.disagg_packages}.get(package, (package,))
    before, after = (next((it.packages[n] for n in names if n in it.packages), None) for it in (running, wanted))
    return Versions(package, before, after, running.python == wanted.python)


def rejected_cards(running: Plan, wanted: Plan) -> str:
    """Why the frontend may not route to workers of both versions at the same time, in words; empty if it does."""
    dynamo, engine = versions("ai-dynamo", running, wanted), ENGINES[wanted.engine]
    if not dynamo.may_differ or dynamo.are_among(engine.accepted):
        return ""
    at_once = f"workers of {dynamo} at the same time"
    if dynamo.are_among(engine.rejected):
        return f"the frontend accepts no {at_once}"
    return f"it is not known whether the frontend accepts {at_once}"


def lost_between_versions(running: Plan, wanted: Plan) -> Iterator[str]:
    """Further losses until the last worker has changed, in words."""
    roles = {unit.role for unit in running.workers}
    if {Role.DECODE, Role.PREFILL} <= roles and ENGINES[wanted.engine].runs_vllm:
        yield from _between_roles(versions("vllm", running, wanted), versions("nixl", running, wanted))
    if all(any(unit.role is Role.LMCACHE for unit in plan.units) for plan in (running, wanted)):
        yield from _at_the_sidecar(versions("lmcache", running, wanted))


def _between_roles(vllm: Versions, nixl: Versions) -> Iterator[str]:
    """Source: vllm 0.23.0 and 0.31.0, `compute_nixl_compatibility_hash`: it contains vLLM's version, and a decode
    worker refuses a prefill worker with another one."""
    if vllm.differ:
        yield f"requests until the last decode and prefill workers have changed: NIXL refuses {vllm} with each other"
    elif vllm.may_differ or nixl.may_differ:
        unknown = vllm if vllm.may_differ else nixl
        yield (
            "perhaps requests until the last decode and prefill workers have changed: "
            f"it is not known whether NIXL transfers between {unknown}"
        )


def _at_the_sidecar(lmcache: Versions) -> Iterator[str]:
    until = "the time until their worker has changed for running requests, which stand still"
    if lmcache.are_among(_LMCACHE):
        yield f"{until}: {lmcache} do not understand each other"
    elif lmcache.may_differ and not lmcache.are_among(_LMCACHE_WELL):
        yield f"perhaps {until}: it is not known whether {lmcache} understand each other"
