"""`dynkv top`, driven by textual's own pilot."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from rich.text import Text
from sample import STATUS
from textual.pilot import Pilot
from textual.widgets import DataTable, RichLog, Static

from dynkv.cli.dashboard import Dashboard
from dynkv.cli.log_screen import LogScreen
from dynkv.cli.panes import LogPane, UnitsTable
from dynkv.cli.screens import Confirmation
from dynkv.cli.tile import Curve, Tile
from dynkv.errors import DynkvError
from dynkv.metrics.trend import Look
from dynkv.probes.text import read
from dynkv.supervisor.events import Event
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentStatus, GpuStatus, LastExit

pytestmark = pytest.mark.anyio

REQUESTS = 'dynamo_frontend_requests_total{{status="success"}} {}\n'


@dataclass
class Planned:
    """A source of prepared looks, one second apart; the last one repeats."""

    looks: list[Look | DynkvError]
    asked: list[tuple[str, object]] = field(default_factory=list)
    refusal: DynkvError | None = None
    events: list[Event] = field(default_factory=list)

    def look(self) -> Look:
        seen = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(seen, DynkvError):
            raise seen
        return seen

    def new_events(self) -> list[Event]:
        new, self.events = self.events, []
        return new

    def ask(self, unit: str, verb: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append((unit, verb))

    def scale(self, role: str, count: int) -> None:
        self.asked.append((role, count))


def planned(*seen: DeploymentStatus | DynkvError, requests: Iterable[int] = count(0, 3)) -> Planned:
    numbers = iter(requests)
    return Planned(
        [
            it if isinstance(it, DynkvError) else Look(float(at), it, read(REQUESTS.format(next(numbers))))
            for at, it in enumerate(seen)
        ]
    )


@asynccontextmanager
async def shown(
    source: Planned, size: tuple[int, int] = (100, 30), *, is_read_only: bool = False
) -> AsyncIterator[Pilot[None]]:
    app = Dashboard(source, 0.1, is_read_only=is_read_only)
    async with app.run_test(size=size) as pilot:
        yield pilot


async def until(pilot: Pilot[None], condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await pilot.pause(0.01)


def text(pilot: Pilot[None], selector: str) -> str:
    return str(pilot.app.screen.query_one(selector, Static).render())


def tiles(pilot: Pilot[None]) -> list[str]:
    return [str(label.render()) for it in pilot.app.query(Tile) for label in it.query(Static)]


def screen(pilot: Pilot[None]) -> list[str]:
    """The lines on the terminal."""
    return ["".join(part.text for part in strip).rstrip() for strip in pilot.app.screen._compositor.render_strips()]


def rows(pilot: Pilot[None]) -> list[list[str]]:
    table = pilot.app.query_one(DataTable)
    return [[str(cell) for cell in table.get_row(key)] for key in table.rows]


@pytest.fixture
def anyio_backend() -> str:
    """textual needs asyncio."""
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
        await until(pilot, lambda: "requests/s 3.0" in tiles(pilot))
        assert tiles(pilot) == [
            "requests/s 3.0",
            "first token -",
            "hits in sidecar 33%",
            "L1 memory 25%",
            "NIXL 0.0 MB/s",
            "GPU 0 60/80 GB 43%",
            "GPU 1 0/80 GB",
        ]
        l1 = pilot.app.query(Tile)[3].query_one(Curve)
        assert str(l1.render()).endswith("▂")
        assert l1.size.width == len(str(l1.render()))


async def test_in_a_small_terminal_l2_is_beside_l1_and_each_figure_is_whole() -> None:
    gpu = GpuStatus("0", 120_000_000_000, 141_000_000_000, 0.43, 650.5, 61.0)
    kv: dict[str, float | int | None] = {"hit_rate": 0.4, "l1_usage_ratio": 0.9, "l2_used_bytes": 12_340_000_000}
    async with shown(planned(replace(STATUS, kv=kv, gpus=(gpu,))), (80, 24)) as pilot:
        small = re.compile(r"L1 memory 90% +L2 12\.3 GB +GPU 0 120G 43% 650W 61°")
        await until(pilot, lambda: any(small.search(line) for line in screen(pilot)))
        await pilot.resize_terminal(200, 60)
        await until(pilot, lambda: any("GPU 0 120/141 GB 43% 650 W 61 °C" in line for line in screen(pilot)))


async def test_without_gpus_and_caches_there_are_no_figures_of_them() -> None:
    async with shown(planned(replace(STATUS, gpus=(), kv={}))) as pilot:
        await until(pilot, lambda: rows(pilot))
        assert [it.split()[0] for it in tiles(pilot)] == ["requests/s", "first"]


async def test_a_restart_is_asked_for_after_a_yes() -> None:
    source = planned(STATUS)
    async with shown(source) as pilot:
        await until(pilot, lambda: rows(pilot))
        await pilot.press("down", "r")
        assert "Restart worker-0?" in text(pilot, "Static")
        await pilot.press("n")
        assert not isinstance(pilot.app.screen, Confirmation)
        await pilot.press("r", "y")
        await until(pilot, lambda: source.asked)
        assert source.asked == [("worker-0", "restart")]


@pytest.mark.parametrize(
    ("key", "question", "asked"),
    [
        ("s", "Start worker-0?", ("worker-0", "start")),
        ("x", "Stop worker-0?", ("worker-0", "stop")),
        ("+", "Run 2 of role worker?", ("worker", 2)),
        ("-", "Run 0 of role worker?", ("worker", 0)),
    ],
)
async def test_other_keys_ask_too(key: str, question: str, asked: tuple[str, object]) -> None:
    source = planned(STATUS)
    async with shown(source) as pilot:
        await until(pilot, lambda: rows(pilot))
        await pilot.press("down", key)
        assert question in text(pilot, "Static")
        await pilot.press("y")
        await until(pilot, lambda: source.asked)
        assert source.asked == [asked]


async def test_help_names_all_keys() -> None:
    async with shown(planned(STATUS), (80, 24)) as pilot:
        await until(pilot, lambda: rows(pilot))
        await pilot.press("?")
        await until(pilot, lambda: any("quit" in line for line in screen(pilot)))
        for key in ("r", "s", "x", "+ -", "i", "l, enter", "o", "/", "q"):
            assert any(re.search(rf"│ +{re.escape(key)}  +[a-z]", line) for line in screen(pilot)), key
        await pilot.press("escape")
        assert text(pilot, "#head")


async def test_read_only_no_key_changes_anything() -> None:
    source = planned(STATUS)
    async with shown(source, is_read_only=True) as pilot:
        await until(pilot, lambda: rows(pilot))
        for key in ("r", "s", "x", "+", "-"):
            await pilot.press(key)
            assert not isinstance(pilot.app.screen, Confirmation), key
        assert "Restart" not in "\n".join(screen(pilot))
        await pilot.press("?")
        await until(pilot, lambda: any("quit" in line for line in screen(pilot)))
        assert not any("restart the chosen unit" in line for line in screen(pilot))
    assert source.asked == []


async def test_the_order_of_the_units_is_chosen_and_the_cursor_stays_on_its_unit() -> None:
    async with shown(planned(STATUS)) as pilot:
        await until(pilot, lambda: rows(pilot))
        table = pilot.app.query_one(UnitsTable)
        await pilot.press("o")
        assert [row[0] for row in rows(pilot)] == ["worker-0", "frontend"], "what is in trouble comes first"
        assert table.chosen == "frontend"
        await until(pilot, lambda: any("state ▾" in line for line in screen(pilot)))
        await pilot.press("o", "o", "o", "o")
        assert [row[0] for row in rows(pilot)] == ["frontend", "worker-0"]
        table.post_message(DataTable.HeaderSelected(table, table.ordered_columns[4].key, 4, Text("restarts")))
        await until(pilot, lambda: [row[0] for row in rows(pilot)] == ["worker-0", "frontend"])


async def test_all_of_a_unit_and_what_to_do_is_told() -> None:
    ended = LastExit(-9, 9, "out of memory", "a smaller workers.gpu_memory_fraction [or] model", "2026-01-01T00:00:00")
    worker = replace(STATUS.units[1], last_exit=ended, ports={"system": 9100}, restarts_left=0, log="/logs/w.log")
    async with shown(planned(replace(STATUS, units=(STATUS.units[0], worker))), (80, 24)) as pilot:
        await until(pilot, lambda: rows(pilot))
        await pilot.press("down", "i")
        await until(pilot, lambda: any("/logs/w.log" in line for line in screen(pilot)))
        found = "\n".join(screen(pilot))
        for words in ("worker-0 (worker)", "out of memory", "[or] model", "system 9100", "5, 0 more before it stays"):
            assert words in found
        await pilot.press("i")
        assert text(pilot, "#head")


def logged(tmp_path: Path) -> DeploymentStatus:
    units = []
    for unit in STATUS.units:
        log = tmp_path / f"{unit.name}.log"
        log.write_text(f"{unit.name} begins\n{unit.name} serves\n")
        units.append(replace(unit, log=str(log)))
    return replace(STATUS, units=tuple(units))


HAPPENED = [
    Event(1, "2026-01-01T00:00:01.000+00:00", "state", "worker-0", "starting to ready", duration_s=2.5),
    Event(2, "2026-01-01T00:00:02.000+00:00", "exit", "worker-0", "killed by SIGKILL", cause="nobody knows"),
    Event(3, "2026-01-01T00:00:03.000+00:00", "of another version", None, "something new"),
]


@pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=["small", "large"])
async def test_all_of_it_is_on_the_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    source = planned(*[logged(tmp_path)] * 3)
    source.events = [*HAPPENED]
    async with shown(source, size) as pilot:
        await until(pilot, lambda: "requests/s 3.0" in tiles(pilot))
        words = (
            "agg is degraded",
            "L1 memory 25%",
            "GPU 1 0/80 GB",
            "exit code 1",
            "log of frontend",
            "00:00:03 deployment: something new",
            "frontend serves",
            "q Quit",
        )
        await until(pilot, lambda: all(it in "\n".join(screen(pilot)) for it in words))
        found = "\n".join(screen(pilot))
        await until(pilot, lambda: pilot.app.query_one(Curve).size.height == (4 if size[1] == 60 else 1))
        assert ("00:00:01 worker-0: starting to ready in 2.5 s" in found) or size[1] == 24


async def test_the_log_is_that_of_the_chosen_unit_and_a_filter_narrows_all(tmp_path: Path) -> None:
    source = planned(logged(tmp_path))
    source.events = [*HAPPENED]
    async with shown(source, (200, 60)) as pilot:
        await until(pilot, lambda: any("frontend serves" in line for line in screen(pilot)))
        await pilot.press("down")
        await until(pilot, lambda: any("worker-0 serves" in line for line in screen(pilot)))
        await pilot.press("/", *"worker", "enter")
        await until(pilot, lambda: [row[0] for row in rows(pilot)] == ["worker-0"])
        await until(pilot, lambda: not any("something new" in line for line in screen(pilot)))
        await pilot.press("escape")
        await until(pilot, lambda: len(rows(pilot)) == 2)
        await until(pilot, lambda: any("something new" in line for line in screen(pilot)))


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


async def opened_log(pilot: Pilot[None], lines: int) -> LogPane:
    await until(pilot, lambda: rows(pilot))
    await pilot.press("down", "l")
    pane = pilot.app.screen.query_one(LogPane)
    await until(pilot, lambda: len(pane.lines) >= lines and pane.is_vertical_scroll_end and pane.size.height)
    return pane


def long_log(tmp_path: Path) -> tuple[Path, DeploymentStatus]:
    log = tmp_path / "worker-0.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    return log, replace(STATUS, units=(STATUS.units[0], replace(STATUS.units[1], log=str(log))))


async def test_a_log_that_is_scrolled_up_stays_there_until_end_is_pressed(tmp_path: Path) -> None:
    log, status = long_log(tmp_path)
    async with shown(planned(status), (80, 24)) as pilot:
        pane = await opened_log(pilot, 100)
        await pilot.press("pageup", "pageup")
        await until(pilot, lambda: not pane.is_vertical_scroll_end)
        at = pane.scroll_target_y
        with log.open("a") as file:
            file.write("the newest\n")
        await until(pilot, lambda: len(pane.lines) == 101)
        await pilot.pause(0.2)
        assert pane.scroll_target_y == at
        await pilot.press("end")
        await until(pilot, lambda: any("the newest" in line for line in screen(pilot)))
        with log.open("a") as file:
            file.write("and another\n")
        await until(pilot, lambda: any("and another" in line for line in screen(pilot)))


async def test_a_log_is_filtered_wrapped_marked_and_copied(tmp_path: Path) -> None:
    log, status = long_log(tmp_path)
    with log.open("a") as file:
        file.write(f"a long one {'x' * 100}\n")
    async with shown(planned(status), (80, 24)) as pilot:
        pane = await opened_log(pilot, 102)
        await pilot.press("w")
        await until(pilot, lambda: len(pane.lines) == 101)
        await pilot.press("m")
        await until(pilot, lambda: re.fullmatch(r"──── \d\d:\d\d:\d\d ────", pane.lines[-1].text.rstrip()))
        await pilot.press("/", *"line 9", "enter")
        await until(pilot, lambda: len(pane.lines) == 11)
        await pilot.press("c")
        assert pilot.app.clipboard == "line 9\n" + "".join(f"line {number}\n" for number in range(90, 100))
        await pilot.press("escape")
        await until(pilot, lambda: len(pane.lines) == 101)
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, LogScreen)


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
        assert pilot.app.query_one(DataTable).size.height >= 3


async def test_q_ends_it() -> None:
    async with shown(planned(STATUS)) as pilot:
        await until(pilot, lambda: rows(pilot))
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running)
    assert pilot.app.return_code == 0
