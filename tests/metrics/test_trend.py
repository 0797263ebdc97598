"""Readings over many looks."""

from __future__ import annotations

import pytest

from dynkv.metrics.trend import Look, Reading, Trend
from dynkv.probes.text import read
from dynkv.supervisor.status import DeploymentState, DeploymentStatus, GpuStatus


def look(at_s: float, exposition: str = "", kv: dict[str, float | int | None] | None = None, gpu_gb: int = 0) -> Look:
    gpus = (GpuStatus("0", gpu_gb * 10**9, 80 * 10**9),) if gpu_gb else ()
    status = DeploymentStatus("agg", "agg", DeploymentState.READY, "", "", "", None, (), kv=kv or {}, gpus=gpus)
    return Look(at_s, status, read(exposition))


def requests(ok: int, failed: int = 0) -> str:
    name = "dynamo_frontend_requests_total"
    return f'{name}{{status="success"}} {ok}\n{name}{{status="error"}} {failed}\n'


def first_tokens(quick: int, slow: int) -> str:
    """`quick` took at most 0.1 s, `slow` more than that and at most 1 s."""
    name = "dynamo_frontend_time_to_first_token_seconds_bucket"
    counts = {"0.1": quick, "1": quick + slow, "+Inf": quick + slow}
    return "".join(f'{name}{{le="{bound}"}} {count}\n' for bound, count in counts.items())


def tokens(looked_up: int, found: int) -> dict[str, float | int | None]:
    total = round(found / looked_up, 4) if looked_up else None
    return {"lookup_requested_tokens": looked_up, "lookup_hit_tokens": found, "hit_rate": total}


def last(*looks: Look) -> Reading:
    trend = Trend(len(looks))
    return [trend.take(it) for it in looks][-1]


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([look(0.0, requests(5))], None),
        ([look(0.0, requests(5)), look(2.0, requests(9))], 2.0),
        ([look(0.0, requests(5, 1)), look(2.0, requests(6, 4))], 2.0),
        ([look(0.0, requests(0)), look(10.0, requests(100)), look(20.0, requests(110))], 1.0),
        ([look(0.0, requests(5)), look(1.0)], None),
        ([look(0.0), look(1.0, requests(5)), look(2.0, requests(5))], None),
        ([look(0.0, requests(50)), look(1.0, requests(3))], 3.0),
    ],
    ids=["first", "rate", "failures count", "only of late", "frontend gone", "frontend new", "frontend restarted"],
)
def test_requests_in_a_second(looks: list[Look], expected: float | None) -> None:
    assert last(*looks).requests_s == expected


def test_the_median_first_token_is_of_late() -> None:
    slow, quick = look(0.0, first_tokens(0, 9)), look(12.0, first_tokens(8, 9))
    assert last(look(0.0, first_tokens(0, 0)), look(1.0, first_tokens(0, 9))).first_token_s == pytest.approx(0.55)
    assert last(slow, look(5.0, first_tokens(0, 9)), quick).first_token_s == pytest.approx(0.05)
    assert last(slow, look(1.0, first_tokens(0, 9))).first_token_s is None


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([look(0.0, kv=tokens(400, 100))], 0.25),
        ([look(0.0, kv=tokens(400, 100)), look(9.0, kv=tokens(600, 250))], 0.75),
        ([look(0.0, kv=tokens(400, 100)), look(9.0, kv=tokens(400, 100))], 0.25),
        ([look(0.0, kv=tokens(0, 0)), look(40.0, kv=tokens(400, 100)), look(45.0, kv=tokens(500, 200))], 1.0),
        ([look(0.0, kv=tokens(400, 100)), look(9.0, kv=tokens(10, 5))], 0.5),
        ([look(0.0), look(1.0)], None),
    ],
    ids=["first", "of late", "nothing of late", "not of long ago", "sidecar restarted", "no sidecar"],
)
def test_hit_rate(looks: list[Look], expected: float | None) -> None:
    assert last(*looks).hit_rate == expected


def test_memory_is_as_it_stands() -> None:
    reading = last(look(0.0, gpu_gb=8), look(1.0, kv={"l1_usage_ratio": 0.5, "l2_used_bytes": 7}, gpu_gb=60))
    assert reading.l1_usage_ratio == 0.5
    assert reading.l2_used_bytes == 7
    assert reading.gpu_usage_ratios == {"0": 0.75}
    assert last(look(0.0)).gpu_usage_ratios == {}


def test_only_so_many_are_kept() -> None:
    trend = Trend(3)
    taken = [trend.take(look(float(number), requests(number**2))) for number in range(5)]
    assert list(trend.readings) == taken[2:]
