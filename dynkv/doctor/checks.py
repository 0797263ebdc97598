"""Reasons why a plan cannot or should not run on a host: all checks, each in the file of its subject. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from dynkv.doctor import cluster, driver, environment, exposure, kernel, leftovers, storage
from dynkv.doctor.catalogue import Severity
from dynkv.doctor.findings import Case, Finding, finding, needs_cuda
from dynkv.errors import PortTaken, PreflightRefused
from dynkv.plan.facts import HostFacts
from dynkv.plan.model import Plan
from dynkv.profile.load import LoadedProfile

_ORDER = list(Severity)
Checks = Callable[[Case], Iterator[Finding]]
_OF_UNITS_ALONE = (storage.checks, exposure.checks, cluster.checks)
"""Checks of a plan without the stack."""


def _of_the_stack() -> tuple[Checks, ...]:
    """Checks, in the order in which a person can act on their findings."""
    from dynkv.doctor import arguments, capacity, gpu_checks, limits, loras, model, packages, shared_blocks

    return (
        packages.checks,
        arguments.checks,
        model.checks,
        loras.checks,
        shared_blocks.checks,
        limits.checks,
        storage.checks,
        gpu_checks.checks,
        capacity.checks,
        exposure.checks,
        cluster.checks,
    )


def findings(loaded: LoadedProfile, plan: Plan, facts: HostFacts) -> list[Finding]:
    """Findings about a plan, errors first, then warnings."""
    case = Case(loaded, plan, facts)
    asked = _of_the_stack() if plan.topology != "none" else _OF_UNITS_ALONE
    found = [item for checks in asked for item in checks(case)]
    return by_severity([*found, *of_host(loaded, facts, plan.name)])


def of_host(loaded: LoadedProfile, facts: HostFacts, name: str) -> list[Finding]:
    """Findings that need no plan; `name` is the deployment's."""
    found = list(driver.checks(facts)) if needs_cuda(loaded.profile) else []
    return by_severity(
        [*found, *kernel.checks(facts), *environment.checks(loaded.profile, facts), *leftovers.checks(facts, name)]
    )


def refusal(error: PreflightRefused, loaded: LoadedProfile) -> Finding:
    """What the plan itself refuses, as a finding."""
    if isinstance(error, PortTaken):
        why = "clients use the frontend's port, so it is never moved"
        return finding("port-taken", error.what, why, error.hint, loaded.where("frontend", "port"))
    return finding("plan-refused", error.what, error.detail.strip() or "there is no plan without it", error.hint)


def by_severity(found: Iterable[Finding]) -> list[Finding]:
    return sorted(found, key=lambda item: _ORDER.index(item.severity))
