"""One request for a unit's metrics serves everyone who needs them; tested with real servers that count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest
from answering import Server, http, serving
from lab import Lab, free_port

from dynkv.plan.model import HttpGet, Probe, Probes, Role
from dynkv.probes.attempt import attempt
from dynkv.probes.http import BODY_LIMIT_BYTES
from dynkv.probes.scrape import Figures, sources
from dynkv.probes.worker import News, Phase, probing

pytestmark = pytest.mark.anyio

TEXT = "x 3\n"
AGE_S = 60.0


def source(server: Server) -> HttpGet:
    return HttpGet(server.port, "/metrics")


def answering(text: str = TEXT) -> Callable[[str], bytes]:
    return lambda path: http(200, text.encode())


async def together(*asking: Callable[[], Awaitable[object]]) -> list[object]:
    """The result of each, when all have begun before the first ends."""
    got: list[object] = [None] * len(asking)

    async def keep(number: int) -> None:
        got[number] = await asking[number]()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for number in range(len(asking)):
                tasks.start_soon(keep, number)
    return got


async def test_what_is_young_enough_is_taken_and_what_is_not_is_asked_anew() -> None:
    async with serving(answering()) as server:
        figures = Figures()
        for age_s, requests in [(AGE_S, 1), (AGE_S, 1), (0.0, 2), (AGE_S, 2)]:
            assert await figures.get(source(server), max_age_s=age_s, timeout_s=20) == TEXT
            assert len(server.asked) == requests


async def test_who_asks_at_the_same_time_shares_one_request() -> None:
    all_ask, waiting = anyio.Event(), 0

    async def answer() -> bytes:
        await all_ask.wait()
        return http(200, TEXT.encode())

    async with serving(lambda path: answer()) as server:
        figures = Figures({"a": source(server)})

        async def ask() -> object:
            nonlocal waiting
            waiting += 1
            if waiting == 3:
                all_ask.set()
            if waiting == 1:
                return (await attempt(Probe((source(server),), timeout_seconds=20), figures)).ok
            return await figures.get(source(server), max_age_s=0.0, timeout_s=20)

        assert await together(ask, ask, ask) == [True, TEXT, TEXT]
        assert len(server.asked) == 1


async def test_a_failure_is_shared_too_and_not_kept() -> None:
    states = iter([503, 200])
    all_ask = anyio.Event()

    async def answer() -> bytes:
        await all_ask.wait()
        return http(next(states), TEXT.encode())

    async with serving(lambda path: answer()) as server:
        figures = Figures()

        async def ask() -> object:
            return await figures.get(source(server), max_age_s=AGE_S, timeout_s=20)

        async def ask_last() -> object:
            all_ask.set()
            return await ask()

        assert await together(ask, ask_last) == [None, None]
        assert await ask() == TEXT
        assert len(server.asked) == 2


async def test_each_has_a_deadline_of_its_own() -> None:
    """Whoever made the request gives up; the other one requests again."""
    first_was_asked = anyio.Event()

    async def answer() -> bytes:
        if first_was_asked.is_set():
            return http(200, TEXT.encode())
        first_was_asked.set()
        await anyio.sleep_forever()
        return b""

    async with serving(lambda path: answer()) as server:
        figures = Figures()

        async def impatient() -> object:
            return await figures.get(source(server), max_age_s=0.0, timeout_s=0.2)

        async def patient() -> object:
            await first_was_asked.wait()
            return await figures.get(source(server), max_age_s=0.0, timeout_s=20)

        assert await together(impatient, patient) == [None, TEXT]
        assert len(server.asked) == 2


async def test_one_that_does_not_answer_costs_the_others_nothing() -> None:
    """All are queried before the first has answered: each server waits for the other's request."""
    asked = [anyio.Event(), anyio.Event()]

    async def answer(number: int) -> bytes:
        asked[number].set()
        await asked[1 - number].wait()
        return http(200, f"x {number}\n".encode())

    async with AsyncExitStack() as servers:
        first = await servers.enter_async_context(serving(lambda path: answer(0)))
        second = await servers.enter_async_context(serving(lambda path: answer(1)))
        silent = await servers.enter_async_context(serving(lambda path: b""))
        figures = Figures({"a": source(first), "b": source(second), "c": HttpGet(free_port(), "/metrics")})
        assert await figures.of(["a", "b", "c", "unknown"], max_age_s=0.0, timeout_s=20) == {"a": "x 0\n", "b": "x 1\n"}
        figures = Figures({"a": source(first), "c": source(silent)})
        assert await figures.of(["a", "c"], max_age_s=0.0, timeout_s=0.3) == {"a": "x 0\n"}


async def test_a_text_that_is_too_long_ends_with_a_whole_line() -> None:
    text = "y 1\n" + "# " + "x" * BODY_LIMIT_BYTES + "\n" + "y 12345\n" * 100_000
    async with serving(answering(text)) as server:
        got = await Figures().get(source(server), max_age_s=0.0, timeout_s=20)
    assert got is not None
    assert len(got) <= BODY_LIMIT_BYTES + 1024**2
    assert text.startswith(got)
    assert got.endswith("\n")


async def test_a_unit_that_breaks_off_has_answered_and_its_last_line_may_be_a_half_one() -> None:
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx 3\ny 12"

    async with serving(lambda path: broken) as server:
        figures = Figures({"a": source(server)})
        assert (await attempt(Probe((source(server),), timeout_seconds=20), figures)).ok
        assert await figures.get(source(server), max_age_s=AGE_S, timeout_s=20) == "x 3\n"


async def test_what_is_no_text_is_one_with_replacements() -> None:
    async with serving(lambda path: http(200, b"x\xff 1\ny 2\n")) as server:
        assert await Figures().get(source(server), max_age_s=0.0, timeout_s=20) == "x\ufffd 1\ny 2\n"


async def readiness_of(figures: Figures, server: Server, *paths: str) -> News:
    """The first result of a unit's readiness."""
    probe = Probe(tuple(HttpGet(server.port, path) for path in paths), timeout_seconds=20)
    results = probing(Probes(probe, probe), figures=figures)
    with anyio.fail_after(20):
        async for news in results:
            if news.phase is Phase.READINESS:
                await results.aclose()
                return news
    raise AssertionError("it has a readiness")


async def test_readiness_feeds_the_figures() -> None:
    async with serving(answering()) as server:
        figures = Figures({"a": source(server)})
        assert (await readiness_of(figures, server, "/health", "/metrics")).attempt.ok
        asked = len(server.asked)
        assert await figures.get(source(server), max_age_s=AGE_S, timeout_s=20) == TEXT
        assert len(server.asked) == asked


async def test_a_probe_reads_no_body_that_nobody_wants() -> None:
    """The head is enough: the rest of this body never comes."""

    def answer(path: str) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx 3\n"

    async with serving(answer) as server:
        figures = Figures({"other": HttpGet(free_port(), "/metrics")})
        assert (await readiness_of(figures, server, "/metrics")).attempt.ok


def test_who_has_figures(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    units = [lab.unit(role.value, role=role) for role in (Role.FRONTEND, Role.WORKER, Role.DECODE, Role.PREFILL)]
    sidecar, own = lab.unit("lmcache", role=Role.LMCACHE), lab.unit("web", role=Role.UNIT)
    sidecar.ports["http"] = free_port()
    plan = lab.plan(*units, sidecar, own)
    assert {name: it.port for name, it in sources(plan).items()} == {
        **{unit.name: unit.ports["system"] for unit in units},
        "lmcache": sidecar.ports["http"],
    }
