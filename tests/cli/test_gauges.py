"""The figures of `dynkv top` in words."""

from __future__ import annotations

from msgspec.structs import replace

from dynkv.cli.gauges import gauges
from dynkv.metrics.trend import Reading
from dynkv.supervisor.status import GpuStatus

BUSY = Reading(
    requests_s=12.34,
    first_token_s=0.12,
    first_token_p95_s=1.5,
    inter_token_s=0.012,
    inter_token_p95_s=0.03,
    tokens_in_s=12_345.0,
    tokens_out_s=3.21,
    running=7,
    waiting=2,
    kv_usage_ratio=0.5,
    gpu_hit_rate=0.25,
    hit_rate=0.4,
    l1_usage_ratio=0.9,
    l2_used_bytes=12.34e9,
    nixl_bytes_s=351e6,
    gpu_usage_ratios={"0": 0.75},
)


def words(reading: Reading, *gpus: GpuStatus) -> dict[str, str]:
    return {it.key: f"{it.title} {it.words}" for it in gauges([reading], gpus)}


def test_all_of_them() -> None:
    assert words(BUSY, GpuStatus("0", 60_200_000_000, 80_000_000_000, 0.43, 350.5, 61.0)) == {
        "requests": "requests/s 12.3",
        "first-token": "first token 0.1 / 1.5 s",
        "inter-token": "inter-token 12 / 30 ms",
        "tokens": "tokens/s 12.3k in 3.2 out",
        "running": "requests 7 running 2 waiting",
        "kv-cache": "KV cache 50%",
        "gpu-hits": "hits in GPU 25%",
        "hit-rate": "hits in sidecar 40%",
        "l1": "L1 memory 90%",
        "l2": "L2 12.3 GB",
        "nixl": "NIXL 351.0 MB/s",
        "gpu-0": "GPU 0 60/80 GB 43% 350 W 61 °C",
    }


def test_what_nobody_has_told_of_is_not_there_and_what_is_told_no_more_is_unknown() -> None:
    assert words(Reading()) == {"requests": "requests/s -", "first-token": "first token -"}
    after = gauges([BUSY, replace(BUSY, nixl_bytes_s=None)])
    assert next(it for it in after if it.key == "nixl").words == "-"
    assert next(it for it in after if it.key == "nixl").curve == (351e6, None)


def test_where_there_is_no_room_they_are_short_enough_for_three_columns_of_a_small_terminal() -> None:
    gpu = GpuStatus("7", 120_200_000_000, 141_000_000_000, 1.0, 699.5, 61.0)
    found = gauges([replace(BUSY, running=117, waiting=99, tokens_in_s=12_345.0, tokens_out_s=98_765.0)], [gpu])
    labels = [it.short or f"{it.title} {it.words}" for it in found]
    assert max(map(len, labels)) <= 24, labels
    assert "GPU 7 120G 100% 700W 61°" in labels
    assert "requests 117 run 99 wait" in labels
