"""One scrape for everything: a unit that does not answer properly does not affect the others."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from answering import http, serving
from lab import Lab
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from dynkv.metrics import whole
from dynkv.metrics.families import Families
from dynkv.metrics.whole import Whole
from dynkv.plan.model import HttpGet, Plan
from dynkv.probes.scrape import Figures

GOOD = b"# TYPE good gauge\ngood 1\n"
FLOOD = b"good 1\n" * 700_000
NEVER = b""


async def nothing() -> Families:
    return {}


def plan_of(lab: Lab, port: int, *names: str) -> tuple[Plan, Figures]:
    """A plan in which each unit's metrics are at a path with its name."""
    plan = lab.plan(*(lab.unit(name) for name in names))
    return plan, Figures({name: HttpGet(port, f"/{name}") for name in names})


def families(text: str) -> dict[str, Metric]:
    return {it.name: it for it in text_string_to_metric_families(text)}


@pytest.mark.anyio
async def test_who_hangs_floods_or_talks_nonsense_is_said_to_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "_TIMEOUT_S", 0.5)
    bad = {
        "/hangs": NEVER,
        "/floods": http(200, FLOOD),
        "/nonsense": http(200, b"<p>hello</p>"),
        "/ill": http(503, GOOD),
    }
    names = ("good-0", *(path.strip("/") for path in bad), "good-1")
    async with serving(lambda path: bad.get(path, http(200, GOOD))) as server:
        plan, figures = plan_of(Lab(tmp_path), server.port, *names)
        with anyio.fail_after(10):
            found = families(await Whole(plan, figures, nothing).text(openmetrics=False))
    assert {it.labels["unit"] for it in found["good"].samples} == {"good-0", "good-1"}
    assert {it.labels["unit"]: it.value for it in found["dynkv_scrape_ok"].samples} == {
        name: float(name.startswith("good")) for name in names
    }


@pytest.mark.anyio
async def test_many_who_ask_at_once_cost_one_request_of_a_unit(tmp_path: Path) -> None:
    async with serving(lambda path: http(200, GOOD)) as server:
        plan, figures = plan_of(Lab(tmp_path), server.port, "worker-0")
        it = Whole(plan, figures, nothing)
        texts: list[str] = []

        async def ask() -> None:
            texts.append(await it.text(openmetrics=False))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
    assert len(server.asked) == 1
    assert len(texts) == 20
    assert len({*texts}) == 1


@pytest.mark.anyio
async def test_no_secret_of_a_unit_comes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "planted-secret")
    async with serving(lambda path: http(200, b'info{url="http://me:planted-secret@host"} 1\n')) as server:
        lab = Lab(tmp_path)
        plan = lab.plan(lab.unit(secret_env=("HF_TOKEN",)))
        figures = Figures({"worker-0": HttpGet(server.port, "/metrics")})
        text = await Whole(plan, figures, nothing).text(openmetrics=True)
    assert "info{" in text
    assert "planted" not in text
