"""Whether the kernel has what a supervisor needs. Pure; needs no plan."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor.findings import Finding, finding
from dynkv.plan.facts import HostFacts


def checks(facts: HostFacts) -> Iterator[Finding]:
    if facts.pidfd_problem:
        yield finding(
            "no-pidfd",
            facts.pidfd_problem,
            "dynkv needs a pidfd for each process, to see its end and never to signal another one",
            "run it on Linux 5.3 or newer, in a container with a seccomp profile that allows both calls",
        )
    if facts.proc_problem:
        yield finding(
            "proc-incomplete",
            facts.proc_problem,
            "without it, processes from before a reboot look like current ones, and free memory and ports are guesses",
            "mount /proc without subset=pid",
        )
    if facts.subreaper_problem:
        yield finding(
            "no-subreaper",
            facts.subreaper_problem,
            "dynkv would lose processes whose parent exits, and they could stay after everything else is down",
            "run it in a container with a seccomp profile that allows prctl",
        )
