"""`dynkv top`, driven by textual's own pilot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sample import STATUS
from textual.pilot import Pilot
from textual.widgets import DataTable, RichLog, Static

from dynkv.cli.dashboard import Dashboard
from dynkv.cli.screens import Confirmation, LogScreen
from dynkv.cli.tile import Curve, Tile
from dynkv.errors import DynkvError
from dynkv.metrics.trend import Look
from dynkv.probes.text import read
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentStatus

pytestmark = pytest.mark.anyio

REQUESTS = 'dynamo_frontend_requests_total{{status="success"}} {}\n'


@dataclass
class Planned:
    """A source of looks that were thought of before, one second apart; the last one is seen again and again."""

    looks: list[Look | DynkvError]
    restarted: list[str] = field(default_factory=list)
    refusal: DynkvError | None = None

    def look(self) -> Look:
        seen = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(seen, DynkvError):
            raise seen
        return seen

    def restart(self, unit: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.restarted.append(unit)


def planned(*seen: DeploymentStatus | DynkvError, requests: Iterable[int] = count(0, 3)) -> Planned:
    numbers = iter(requests)
    return Planned(
        [
            it if isinstance(it, DynkvError) else Look(float(at), it, read(REQUESTS.format(next(numbers))))
            for at, it in enumerate(seen)
        ]
    )


@asynccontextmanager
async def shown(source: Planned, size: tuple[int, int] = (100, 30)) -> AsyncIterator[Pilot[None]]:
    app = Dashboard(source, 0.01)
    async with app.run_test(size=size) as pilot:
        yield pilot


async def until(pilot: Pilot[None], condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await pilot.pause(0.01)


def text(pilot: Pilot[None], selector: str) -> str:
    return str(pilot.app.screen.query_one(selector, Static).render())


def tile(pilot: Pilot[None], selector: str) -> str:
    return str(pilot.app.query_one(selector, Tile).query_one(Static).render())


def rows(pilot: Pilot[None]) -> list[list[str]]:
    table = pilot.app.query_one(DataTable)
    return [[str(cell) for cell in table.get_row(key)] for key in table.rows]


@pytest.fixture
def anyio_backend() -> str:
    """textual's own."""
    return "asyncio"


async def test_it_shows_the_units_and_what_is_not_well() -> None:
    async with shown(planned(STATUS)) as pilot:
        await until(pilot, lambda: len(rows(pilot)) == 2)
        assert text(pilot, "#head") == "agg is degraded  http://127.0.0.1:8000  model tiny"
        assert text(pilot, "#detail") == "worker-0 is failed"
        assert rows(pilot)[0] == ["frontend", "ready", "-", "-", "0", "-", "ok 4 ms", "-"]
        assert rows(pilot)[1] == ["worker-0", "failed", "0,1", "1h01m", "5", "12 MB", "-", "exit code 1"]


async def test_it_shows_what_changes() -> None:
    well = replace(STATUS.units[1], state=State.READY, last_exit=None)
    after = replace(STATUS, units=(STATUS.units[0], well), detail="")
    async with shown(planned(STATUS, after)) as pilot:
        await until(pilot, lambda: [row[1] for row in rows(pilot)] == ["ready", "ready"])
        assert text(pilot, "#detail") == ""


async def test_units_come_and_go_and_the_cursor_stays_within() -> None:
    async with shown(planned(STATUS, STATUS, replace(STATUS, units=STATUS.units[:1]))) as pilot:
        await pilot.press("down")
        await until(pilot, lambda: [row[0] for row in rows(pilot)] == ["frontend"])
        await pilot.press("r")
        assert isinstance(pilot.app.screen, Confirmation)
        assert "Restart frontend?" in text(pilot, "Static")


async def test_the_curves() -> None:
    async with shown(planned(STATUS, STATUS, STATUS)) as pilot:
        await until(pilot, lambda: tile(pilot, "#requests") == "requests/s 3.0")
        assert tile(pilot, "#first-token") == "first token -"
        assert tile(pilot, "#hit-rate") == "hit rate 33%"
        assert tile(pilot, "#l1") == "L1 memory 25%"
        assert [str(it.query_one(Static).render()) for it in pilot.app.query(Tile)][4:] == [
            "GPU 0 memory 75%",
            "GPU 1 memory 1%",
        ]
        l1 = pilot.app.query_one("#l1", Tile).query_one(Curve)
        assert str(l1.render()).splitlines()[1].endswith("▄")
        assert l1.size.width == len(str(l1.render()).splitlines()[1])


async def test_without_gpus_and_caches_there_are_no_figures_of_them() -> None:
    async with shown(planned(replace(STATUS, gpus=(), kv={}))) as pilot:
        await until(pilot, lambda: rows(pilot))
        assert tile(pilot, "#l1") == "L1 memory -"
        assert len(pilot.app.query(Tile)) == 4


async def test_a_restart_is_asked_for_after_a_yes() -> None:
    source = planned(STATUS)
    async with shown(source) as pilot:
        await until(pilot, lambda: rows(pilot))
        await pilot.press("down", "r")
        assert "Restart worker-0?" in text(pilot, "Static")
        await pilot.press("n")
        assert not isinstance(pilot.app.screen, Confirmation)
        await pilot.press("r", "y")
        await until(pilot, lambda: source.restarted)
        assert source.restarted == ["worker-0"]


async def test_a_refused_restart_is_told_of() -> None:
    source = planned(STATUS)
    source.refusal = DynkvError("worker-0 [/is] being stopped")
    async with shown(source) as pilot:
        await until(pilot, lambda: rows(pilot))
        await pilot.press("r", "y")
        await until(pilot, lambda: [it.message for it in pilot.app._notifications] == ["worker-0 [/is] being stopped"])


async def test_the_log_of_the_chosen_unit_is_followed(tmp_path: Path) -> None:
    log = tmp_path / "worker-0.log"
    log.write_text("first\nsecond [not] markup\n")
    status = replace(STATUS, units=(STATUS.units[0], replace(STATUS.units[1], log=str(log))))
    async with shown(planned(status)) as pilot:
        await until(pilot, lambda: rows(pilot))
        await pilot.press("down", "l")
        assert isinstance(pilot.app.screen, LogScreen)
        lines = pilot.app.screen.query_one(RichLog).lines
        await until(pilot, lambda: [line.text.rstrip() for line in lines] == ["first", "second [not] markup"])
        with log.open("a") as file:
            file.write("third\n")
        await until(pilot, lambda: lines[-1].text.rstrip() == "third")
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, LogScreen)
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, LogScreen)


async def test_a_supervisor_that_does_not_answer_is_told_of_and_asked_again() -> None:
    silent = DynkvError("the supervisor does not answer", hint="try again in a moment")
    source = planned(STATUS, silent)
    async with shown(source) as pilot:
        await until(pilot, lambda: "does not answer" in text(pilot, "#detail"))
        assert "try again in a moment" in text(pilot, "#detail")
        assert len(rows(pilot)) == 2
        source.looks = planned(STATUS).looks
        await until(pilot, lambda: text(pilot, "#detail") == "worker-0 is failed")


async def test_nobody_watches() -> None:
    async with shown(planned(replace(STATUS, supervisor=None))) as pilot:
        await until(pilot, lambda: "without a supervisor" in text(pilot, "#head"))


@pytest.mark.parametrize("size", [(60, 20), (30, 8), (200, 60)])
async def test_any_size_will_do_and_the_window_may_change(size: tuple[int, int]) -> None:
    async with shown(planned(STATUS), size) as pilot:
        await until(pilot, lambda: rows(pilot))
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert pilot.app.query_one(DataTable).size.height > 3


async def test_q_ends_it() -> None:
    async with shown(planned(STATUS)) as pilot:
        await until(pilot, lambda: rows(pilot))
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running)
    assert pilot.app.return_code == 0
