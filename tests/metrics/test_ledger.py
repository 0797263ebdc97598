"""Histories of events, and their sums."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from dynkv.metrics.ledger import Ledger
from dynkv.probes.text import Sample
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import Event

START = 1_800_000_000.0
LABELS = {"worker-0": {"unit": "worker-0"}}


class History:
    """Events of one worker, in seconds since it began."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, at_s: float, kind: EventKind, duration_s: float | None = None, **data: object) -> None:
        at = datetime.fromtimestamp(START + at_s, UTC).isoformat(timespec="milliseconds")
        event = Event(len(self.events) + 1, at, kind, "worker-0", "", duration_s=duration_s, data=data)
        self.events.append(event)

    def go(self, *steps: tuple[float, str], state: str = "pending", **data: str) -> None:
        for at_s, new in steps:
            self.add(at_s, EventKind.STATE, None, old=state, new=new, **data)
            state = new

    def figures(self, now_s: float, ledger: Ledger | None = None) -> dict[tuple[str, str], float]:
        ledger = ledger or Ledger()
        for event in self.events:
            ledger.note(event)
        found = ledger.samples("agg", LABELS, START + now_s)
        return {(it.name.removeprefix("dynkv_unit_"), _told_apart(it)): it.value for it in found}


def _told_apart(sample: Sample) -> str:
    """What distinguishes the sample from others of its family."""
    return next((sample.labels[name] for name in ("reason", "state", "step", "le") if name in sample.labels), "")


def died_and_came_back(reason: str = "died") -> History:
    history = History()
    history.go((0, "starting"), (10, "ready"))
    history.go((20, "recycling"), state="ready", reason=reason)
    history.go((21, "reclaiming"), (22, "backoff"), (22, "pending"), (22, "starting"), (26, "ready"), state="recycling")
    return history


def test_an_outage_has_its_reason_its_length_and_its_recovery() -> None:
    found = died_and_came_back("hung").figures(100)
    assert found["outages_total", "hung"] == 1
    assert found["outage_seconds_total", "hung"] == 6
    assert found["outages_total", "died"] == found["outage_seconds_total", "died"] == 0
    assert (found["recovery_seconds_count", ""], found["recovery_seconds_sum", ""]) == (1, 6)
    assert (found["recovery_seconds_bucket", "5.0"], found["recovery_seconds_bucket", "10.0"]) == (0, 1)


def test_time_in_states_goes_on_to_now() -> None:
    found = died_and_came_back().figures(100)
    assert {
        state: found["state_seconds_total", state] for state in ("starting", "ready", "recycling", "reclaiming")
    } == {
        "starting": 14,
        "ready": 84,
        "recycling": 1,
        "reclaiming": 1,
    }


def test_an_outage_that_lasts_is_counted_as_it_grows() -> None:
    history = History()
    history.go((0, "starting"), (10, "ready"), (20, "recycling"), (21, "reclaiming"), (22, "backoff"), (22, "failed"))
    assert history.figures(50)["outage_seconds_total", "died"] == 30
    assert history.figures(80)["outage_seconds_total", "died"] == 60


def test_what_is_stopped_is_not_missed() -> None:
    history = History()
    history.go((0, "starting"), (10, "ready"), (20, "stopping"), (23, "stopped"), reason="asked")
    found = history.figures(500)
    assert (found["outages_total", "asked"], found["outage_seconds_total", "asked"]) == (1, 3)
    history.go((600, "pending"), (600, "starting"), (610, "ready"), state="stopped")
    assert history.figures(700)["recovery_seconds_count", ""] == 0


def test_one_that_dies_before_it_was_ready_ends_no_service() -> None:
    history = History()
    history.go((0, "starting"), (10, "recycling"), (11, "reclaiming"), (11, "backoff"), reason="not-ready")
    assert history.figures(20)["outages_total", "not-ready"] == 0


def test_a_takeover_is_no_outage_and_its_death_is() -> None:
    history = History()
    history.go((0, "starting"), (10, "ready"))
    history.go((50, "starting"), (51, "ready"), state="pending")  # another supervisor
    found = history.figures(60)
    assert {reason for (name, reason), value in found.items() if name == "outages_total" and value} == set()
    assert found["recovery_seconds_count", ""] == 0
    history.go((70, "starting"), (71, "recycling"), state="pending")  # and one after that, which finds it dead
    assert history.figures(80)["outages_total", "died"] == 1


def test_a_fault_of_dynkv_is_the_reason_of_what_follows() -> None:
    history = History()
    history.go((0, "starting"), (10, "ready"))
    history.add(11, EventKind.FAULT)
    history.go((12, "recycling"), state="ready")
    assert history.figures(13)["outages_total", "fault"] == 1


def test_steps_of_clearing_up() -> None:
    history = died_and_came_back()
    history.add(30, EventKind.DISCOVERY, 0.25)
    history.add(31, EventKind.DISCOVERY, 0.5)
    history.add(32, EventKind.LOG, 9.0)
    found = history.figures(40)
    assert (found["reclaim_seconds_count", "discovery"], found["reclaim_seconds_sum", "discovery"]) == (2, 0.75)
    assert found["reclaim_seconds_count", "sidecar"] == 0


def test_cut_requests_are_told_of_the_first_that_ended() -> None:
    history = died_and_came_back()
    history.add(30, EventKind.CUT, None, requests=2, units=["worker-0"])
    history.events.append(
        replace(history.events[-1], seq=99, unit=None, data={"requests": 3, "units": ["worker-0", "x"]})
    )
    assert history.figures(40)["dynkv_requests_cut_total", ""] == 5


def test_the_same_events_twice_count_once() -> None:
    ledger, history = Ledger(), died_and_came_back()
    assert history.figures(100, ledger) == history.figures(100, ledger)


@pytest.mark.parametrize("name", ["outages_total", "outage_seconds_total"])
def test_every_reason_is_there_from_the_beginning(name: str) -> None:
    """increase() of a series that begins with 1 is 0."""
    found = History().figures(0)
    assert {reason for (it, reason), value in found.items() if it == name} == set(
        "died hung not-ready asked followed upkeep fault".split()
    )
