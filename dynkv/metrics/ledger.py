"""Sums over a deployment's events: outages by reason, recoveries, time in each state, steps of cleaning up. Pure.

The same events give the same sums, whoever reads them: a supervisor that takes over reads those of the previous one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from dynkv.probes.text import Sample
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import Event
from dynkv.supervisor.moments import seconds_of
from dynkv.supervisor.states import State
from dynkv.supervisor.verdict import Reason

_OUTAGES = "dynkv_unit_outages_total"
_LOST = "dynkv_unit_outage_seconds_total"
_RECOVERY = "dynkv_unit_recovery_seconds"
_IN_STATE = "dynkv_unit_state_seconds_total"
_STEP = "dynkv_unit_reclaim_seconds"
_FAULTS = "dynkv_faults_total"
_CUT = "dynkv_requests_cut_total"
LEDGER_FAMILIES = {
    _OUTAGES: ("counter", "Times that the unit stopped serving, by reason."),
    _LOST: ("counter", "Seconds in which the unit did not serve, by the reason of the outage."),
    _RECOVERY: ("histogram", "Seconds from the end of a serving incarnation until the next one was ready."),
    _IN_STATE: ("counter", "Seconds that the unit has been in each state."),
    _STEP: ("summary", "Seconds that a step of cleaning up after the unit took, and how often it was needed."),
    _CUT: ("counter", "Requests that an end of the unit has cut, and that could not continue elsewhere."),
    _FAULTS: ("counter", "Faults of dynkv itself, each of which is an event."),
}
"""Type and description by name. All sums begin with the deployment, and continue in a supervisor that takes over."""
BUCKETS_S = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0)
STEPS = (
    EventKind.GPU_MEMORY,
    EventKind.SIDECAR,
    EventKind.DISCOVERY,
    EventKind.PORT,
    EventKind.SHARED_MEMORY,
)
_LEFT = (State.RECYCLING, State.STOPPING)


class _Account(Struct):
    """Sums of one unit; times are seconds since 1970."""

    state: str
    since: float
    serves: bool = False
    """Whether it was ready and has not been left since; a supervisor that takes over finds it starting."""
    is_faulty: bool = False
    """Whether its supervision broke off, which is recorded before its state."""
    reason: str = Reason.DIED
    out_since: float | None = None
    """When it last stopped serving, if it does not serve now."""
    in_state: dict[str, float] = field(default_factory=dict)
    outages: dict[str, int] = field(default_factory=dict)
    lost: dict[str, float] = field(default_factory=dict)
    recoveries: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    recovery_s: float = 0.0
    steps: dict[str, tuple[int, float]] = field(default_factory=dict)

    def go(self, new: str, reason: str, at: float) -> None:
        self.in_state[self.state] = self.in_state.get(self.state, 0.0) + max(0.0, at - self.since)
        if new == State.READY:
            self.serves = True
            self._recover(at)
        elif self.serves and new in _LEFT:
            self.reason, self.out_since, self.serves = reason, at, False
            self.outages[reason] = self.outages.get(reason, 0) + 1
        elif new in (State.STOPPED, State.COMPLETED):
            self._lose(at)  # it is not missed from now on
        self.state, self.since = new, at

    def step(self, kind: str, took_s: float) -> None:
        count, total_s = self.steps.get(kind, (0, 0.0))
        self.steps[kind] = (count + 1, total_s + took_s)

    def lost_until(self, now: float) -> dict[str, float]:
        running = 0.0 if self.out_since is None else max(0.0, now - self.out_since)
        return {**self.lost, self.reason: self.lost.get(self.reason, 0.0) + running}

    def in_state_until(self, now: float) -> dict[str, float]:
        return {**self.in_state, self.state: self.in_state.get(self.state, 0.0) + max(0.0, now - self.since)}

    def _recover(self, at: float) -> None:
        if (took_s := self._lose(at)) is not None:
            self.recoveries[sum(1 for bound in BUCKETS_S if took_s > bound)] += 1
            self.recovery_s += took_s

    def _lose(self, at: float) -> float | None:
        """End the outage; returns its length, or None if there was none."""
        if self.out_since is None:
            return None
        took_s, self.out_since = max(0.0, at - self.out_since), None
        self.lost[self.reason] = self.lost.get(self.reason, 0.0) + took_s
        return took_s


class Ledger:
    def __init__(self) -> None:
        self.seq = 0
        """The number of the last event included."""
        self._accounts: dict[str, _Account] = {}
        self._faults = 0
        self._cut: dict[str, int] = {}
        """Requests by unit."""

    def note(self, event: Event) -> None:
        """Add an event. Events come in order; one that is already included changes nothing."""
        at = seconds_of(event.at)
        if event.seq <= self.seq or at is None:
            return
        self.seq = event.seq
        self._faults += event.kind == EventKind.FAULT
        if event.kind == EventKind.CUT:
            self._note_cut(event)
            return
        if event.unit is None:
            return
        old, new = str(event.data.get("old")), str(event.data.get("new"))
        account = self._accounts.setdefault(
            event.unit, _Account(old if event.kind == EventKind.STATE else State.PENDING, at)
        )
        if event.kind == EventKind.STATE:
            reason = Reason.FAULT if account.is_faulty else event.data.get("reason", Reason.DIED)
            account.go(new, str(reason), at)
            account.is_faulty = False
        elif event.kind == EventKind.FAULT:
            account.is_faulty = True
        elif event.kind in STEPS:
            account.step(event.kind, event.duration_s or 0.0)

    def _note_cut(self, event: Event) -> None:
        """Add cut requests; if several units ended at once, the first is credited with what they cut together."""
        units, count = event.data.get("units"), event.data.get("requests")
        unit = event.unit or (str(units[0]) if isinstance(units, list) and units else "")
        if isinstance(count, int):
            self._cut[unit] = self._cut.get(unit, 0) + count

    def samples(self, deployment: str, labels: Mapping[str, Mapping[str, str]], now: float) -> Iterator[Sample]:
        """Samples of these units with their labels, at the time `now` in seconds since 1970."""
        yield Sample(_FAULTS, {"deployment": deployment}, self._faults)
        for unit, own in labels.items():
            account = self._accounts.get(unit) or _Account(State.PENDING, now)
            yield from _of_outages(account, own, now)
            yield from _of_recoveries(account, own)
            yield Sample(_CUT, own, self._cut.get(unit, 0))
            for state, seconds in account.in_state_until(now).items():
                yield Sample(_IN_STATE, {**own, "state": state}, round(seconds, 3))
            for step in STEPS:
                count, total_s = account.steps.get(step, (0, 0.0))
                yield Sample(f"{_STEP}_sum", {**own, "step": step}, round(total_s, 3))
                yield Sample(f"{_STEP}_count", {**own, "step": step}, count)


def _of_outages(account: _Account, own: Mapping[str, str], now: float) -> Iterator[Sample]:
    """Samples of outages, with every reason from the beginning: a series that begins with 1 has not grown."""
    lost = account.lost_until(now)
    for reason in Reason:
        yield Sample(_OUTAGES, {**own, "reason": reason}, account.outages.get(reason, 0))
        yield Sample(_LOST, {**own, "reason": reason}, round(lost.get(reason, 0.0), 3))


def _of_recoveries(account: _Account, own: Mapping[str, str]) -> Iterator[Sample]:
    count = 0
    for bound, more in zip((*map(str, BUCKETS_S), "+Inf"), account.recoveries, strict=True):
        count += more
        yield Sample(f"{_RECOVERY}_bucket", {**own, "le": bound}, count)
    yield Sample(f"{_RECOVERY}_sum", own, round(account.recovery_s, 3))
    yield Sample(f"{_RECOVERY}_count", own, count)
