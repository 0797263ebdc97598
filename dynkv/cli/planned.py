"""From the command line to a plan for this host, with the findings against it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from dynkv.children.tree import Host
from dynkv.cli.deployments import ELSEWHERE, claimed_by_others, planned_ports
from dynkv.cli.takeover import Orphans, orphans
from dynkv.doctor.catalogue import Severity
from dynkv.doctor.checks import by_severity, findings, of_host, refusal
from dynkv.doctor.findings import Finding
from dynkv.doctor.inspect import LeftOver, inspect
from dynkv.errors import PortTaken, PreflightRefused, UsageError
from dynkv.home import Place, home, place
from dynkv.host.claims import Claims
from dynkv.host.processes import resident_bytes
from dynkv.plan.build import build
from dynkv.plan.facts import HostFacts
from dynkv.plan.model import Plan
from dynkv.plan.ports import METRICS
from dynkv.profile.load import LoadedProfile, Override, load, parse_set
from dynkv.supervisor.leftovers import leftovers
from dynkv.supervisor.neighbours import Supervisor, supervisor_of, supervisors

_DIGITS = 9
"""Most digits of a GPU index; anything longer is a name."""


class Planned(Struct, frozen=True):
    loaded: LoadedProfile
    place: Place
    plan: Plan
    findings: list[Finding]
    before: Orphans = Orphans()
    """What ran of the deployment without a supervisor."""

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.is_error]

    @property
    def warnings(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity is Severity.WARNING]

    def refuse_errors(self) -> None:
        """Raise PreflightRefused for the first error among the findings, and say how many more there are."""
        if not self.errors:
            return
        first, *others = self.errors
        detail = first.excerpt or f"  {first.why}"
        if others:
            detail += f"\n  and {_more(len(others))}: `dynkv doctor` with the same arguments shows all"
        raise PreflightRefused(first.what, where=first.where, hint=first.hint, detail=detail)

    def with_errors_as_warnings(self) -> Planned:
        return replace(self, findings=[it.skipped() for it in self.findings])


def _more(count: int) -> str:
    return "1 more error" if count == 1 else f"{count} more errors"


def locate(profile: str, name: str | None, given: list[Override]) -> tuple[LoadedProfile, Place]:
    loaded = load(profile, given)
    return loaded, place(home(), name or loaded.name)


def make_plan(loaded: LoadedProfile, where: Place, claims: Claims | None = None) -> Planned:
    """Inspect the host and resolve the profile for it. Raises PreflightRefused if that is impossible.

    A taken port is a finding; the plan contains it anyway. `claims` claims the plan's ports, so that no deployment
    planned at the same time uses them.
    """
    found = _found(where)
    facts = _facts(loaded, where, found)
    while True:
        planned = _resolve(loaded, where, facts)
        kept = {*facts.kept_ports.values()}  # running units have them, whoever else may claim them
        lost = claims.hold(planned.plan.ports) - kept - facts.taken_ports.keys() if claims else frozenset()
        if not lost:
            return replace(planned, before=found.orphans)
        facts = replace(facts, taken_ports={**facts.taken_ports, **dict.fromkeys(lost, ELSEWHERE)})


def diagnose(loaded: LoadedProfile, where: Place) -> list[Finding]:
    """All findings against running the profile here, even if no plan is possible."""
    try:
        facts = look(loaded, where)
    except PreflightRefused as error:
        return [refusal(error, loaded)]
    try:
        return _resolve(loaded, where, facts).findings
    except PreflightRefused as error:
        return by_severity([refusal(error, loaded), *of_host(loaded, facts, where.name)])


def look(loaded: LoadedProfile, where: Place) -> HostFacts:
    """Inspect the host. What runs of the same deployment counts as free: it will be taken over, ended or kept."""
    return _facts(loaded, where, _found(where))


class _Found(Struct, frozen=True):
    """What was there at one moment."""

    host: Host
    living: Sequence[Supervisor]
    orphans: Orphans


def _found(where: Place) -> _Found:
    host = Host.now()
    return _Found(host, supervisors(), orphans(where, host))


def _facts(loaded: LoadedProfile, where: Place, found: _Found) -> HostFacts:
    taken = {**claimed_by_others(where.name), **planned_ports(where.name, found.living)}
    left_over = _left_over(where, found)
    return inspect(loaded.profile, where.home, taken, left_over, leftovers(where.home, found.host, found.living))


def _resolve(loaded: LoadedProfile, where: Place, facts: HostFacts) -> Planned:
    refused: list[Finding] = []
    while True:
        try:
            plan = build(loaded.profile, facts, name=where.name, profile_name=loaded.name, home=str(where.home))
        except PortTaken as error:
            refused.append(refusal(error, loaded))
            others = {port: holder for port, holder in facts.taken_ports.items() if port != error.port}
            facts = replace(facts, taken_ports=others)
        else:
            return Planned(loaded, where, plan, by_severity([*refused, *findings(loaded, plan, facts)]))


def _left_over(where: Place, before: _Found) -> LeftOver:
    found = before.orphans
    children = {} if found.journal is None else found.journal.children
    ports = {f"{unit}.{name}": port for unit, record in children.items() for name, port in record.ports.items()}
    plan = found.journal.plan if found.journal is not None and not found.journal.stopped else None
    if plan is not None and plan.metrics is not None:
        ports[METRICS] = plan.metrics.port
    supervisor = supervisor_of(where, before.living) if METRICS in ports else None
    return LeftOver(
        frozenset(process.pid for process in found.processes),
        resident_bytes(found.processes),
        ports,
        supervisor.pid if supervisor else None,
    )


def overrides(
    gpus: str | None,
    model: str | None,
    engine: str | None,
    device: str | None,
    no_lmcache: bool,
    sets: list[str] | None,
) -> list[Override]:
    """Overrides in order of precedence: --set first, so that a dedicated option has the last word."""
    found = [parse_set(text) for text in sets or []]
    if gpus is not None:
        found.append(Override(("workers", "gpus"), _gpu_list(gpus), f"--gpus {gpus}"))
    if model is not None:
        found.append(Override(("model", "path"), model, f"--model {model}"))
    if engine is not None:
        found.append(Override(("engine",), engine, f"--engine {engine}"))
    if device is not None:
        found.append(Override(("device",), device, f"--device {device}"))
    if no_lmcache:
        found.append(Override(("lmcache", "enabled"), False, "--no-lmcache"))
    return found


def _gpu_list(text: str) -> list[int | str] | str:
    if text.strip() == "all":
        return "all"
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UsageError(f"--gpus {text!r} has an empty item", hint="for example --gpus 0,1")
    return [int(part) if part.isdecimal() and len(part) <= _DIGITS else part for part in parts]
