"""What earlier runs have left behind. Pure; needs no plan."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor.findings import Finding, finding
from dynkv.plan.facts import HostFacts, LeftoverKind

_SHOWN = 3


def checks(facts: HostFacts, name: str) -> Iterator[Finding]:
    """Findings about leftovers; `name` is the deployment's own."""
    for left in facts.leftovers:
        told = _some(left.what)
        if left.kind is LeftoverKind.FILES:
            yield finding(
                "leftover-files",
                f"{left.deployment} is down, and has left {told}",
                "only a running deployment needs them; its next `dynkv up` removes them too",
                "remove them: dynkv doctor --clean",
            )
        elif left.deployment == name:
            yield finding(
                "leftover-own",
                f"{len(left.what)} processes of {left.deployment} run without a supervisor: {told}",
                "they keep serving, but nothing watches or restarts them",
                f"`dynkv up` takes them over; `dynkv down {left.deployment}` ends them",
            )
        else:
            yield finding(
                "leftover-processes",
                f"{len(left.what)} processes of {left.deployment} run without a supervisor: {told}",
                "they keep their memory, GPUs and ports, and nothing watches them",
                f"`dynkv up` with its profile takes them over; `dynkv down {left.deployment}` or "
                "`dynkv doctor --clean` ends them",
            )


def _some(items: tuple[str, ...]) -> str:
    more = len(items) - _SHOWN
    return ", ".join(items[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
