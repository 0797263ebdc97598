"""Whether the kernel gives what a supervisor cannot do without. Pure; needs no plan."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor.findings import Finding, finding
from dynkv.plan.facts import HostFacts


def checks(facts: HostFacts) -> Iterator[Finding]:
    if facts.pidfd_problem:
        yield finding(
            "no-pidfd",
            facts.pidfd_problem,
            "dynkv holds each process by a pidfd, to see its end and to signal no other; it starts nothing without",
            "run it on Linux 5.3 or newer, in a container with a seccomp profile that allows both calls",
        )
    if facts.proc_problem:
        yield finding(
            "proc-incomplete",
            facts.proc_problem,
            "without it, processes of before a boot look like those of now, and free memory and ports are guesses",
            "mount /proc without subset=pid",
        )
    if facts.subreaper_problem:
        yield finding(
            "no-subreaper",
            facts.subreaper_problem,
            "what leaves its parent would be lost to dynkv, and could stay when all else is down",
            "run it in a container with a seccomp profile that allows prctl",
        )
