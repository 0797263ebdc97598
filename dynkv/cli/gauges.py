"""The figures of `dynkv top`: which there are, their labels, and their history. Pure.

Figures that users feel come first, then the caches, then the GPUs; figures without a value are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from dynkv.metrics.trend import Reading
from dynkv.supervisor.status import GpuStatus

_UNKNOWN = "-"
Values = tuple[float | None, ...]


class Gauge(Struct, frozen=True):
    """One figure, its newest value and its curve."""

    key: str
    title: str
    words: str
    """The newest value, as text."""
    curve: Values
    """Values in order of time; None where unknown."""
    ceiling: float | None = None
    """The value that fills the height; None for the highest value shown."""
    short: str = ""
    """Title and value for a column of 24 characters, where the others are too long."""


class _Kind(Struct, frozen=True):
    key: str
    title: str
    value: Callable[[Reading], float | None]
    words: Callable[[Reading], str]
    ceiling: float | None = None
    is_always_there: bool = False
    short: Callable[[Reading], str] | None = None


def gauges(readings: Sequence[Reading], gpus: Sequence[GpuStatus] = ()) -> list[Gauge]:
    """The gauges for these readings, the newest last, and for the current state of the GPUs."""
    found = [_gauge(kind, readings) for kind in _KINDS]
    return [it for it, kind in zip(found, _KINDS, strict=True) if kind.is_always_there or any_known(it.curve)] + [
        _of_gpu(gpu, readings) for gpu in gpus
    ]


def any_known(values: Values) -> bool:
    return any(value is not None for value in values)


def _gauge(kind: _Kind, readings: Sequence[Reading]) -> Gauge:
    curve = tuple(map(kind.value, readings))
    is_known = bool(curve) and curve[-1] is not None
    if not is_known:
        return Gauge(kind.key, kind.title, _UNKNOWN, curve, kind.ceiling)
    short = kind.short(readings[-1]) if kind.short else ""
    return Gauge(kind.key, kind.title, kind.words(readings[-1]), curve, kind.ceiling, short)


def _of_gpu(gpu: GpuStatus, readings: Sequence[Reading]) -> Gauge:
    used, total = (f"{size / 1e9:.0f}" for size in (gpu.memory_used_bytes, gpu.memory_total_bytes))
    rest = [
        *([] if gpu.utilisation is None else [f"{gpu.utilisation:.0%}"]),
        *([] if gpu.power_w is None else [f"{gpu.power_w:.0f} W"]),
        *([] if gpu.temperature_c is None else [f"{gpu.temperature_c:.0f} °C"]),
    ]
    curve = tuple(it.gpu_usage_ratios.get(gpu.id) for it in readings)
    short = " ".join([f"GPU {gpu.id} {used}G", *(part.replace(" ", "").removesuffix("C") for part in rest)])
    return Gauge(f"gpu-{gpu.id}", f"GPU {gpu.id}", " ".join([f"{used}/{total} GB", *rest]), curve, 1.0, short)


def _plain(value: float | None) -> str:
    if value is None:
        return _UNKNOWN
    return f"{value / 1000:.1f}k" if value >= 1000 else f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _two_times(median_s: float | None, p95_s: float | None) -> str:
    """Both times, in the unit that suits the longer one."""
    longest = max(median_s or 0.0, p95_s or 0.0)
    factor, unit, digits = (1, "s", 1) if longest >= 1 else (1000, "ms", 0)
    shown = [_UNKNOWN if it is None else f"{it * factor:.{digits}f}" for it in (median_s, p95_s)]
    return f"{' / '.join(shown)} {unit}"


def _share(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.0%}"


_KINDS = (
    _Kind("requests", "requests/s", lambda it: it.requests_s, lambda it: f"{it.requests_s or 0.0:.1f}", None, True),
    _Kind(
        "first-token",
        "first token",
        lambda it: it.first_token_s,
        lambda it: _two_times(it.first_token_s, it.first_token_p95_s),
        is_always_there=True,
    ),
    _Kind(
        "inter-token",
        "inter-token",
        lambda it: it.inter_token_s,
        lambda it: _two_times(it.inter_token_s, it.inter_token_p95_s),
    ),
    _Kind(
        "tokens",
        "tokens/s",
        lambda it: it.tokens_out_s,
        lambda it: f"{_plain(it.tokens_in_s)} in {_plain(it.tokens_out_s)} out",
        short=lambda it: f"tok/s {_plain(it.tokens_in_s)} in {_plain(it.tokens_out_s)} out",
    ),
    _Kind(
        "running",
        "requests",
        lambda it: it.running,
        lambda it: f"{it.running or 0:.0f} running {it.waiting or 0:.0f} waiting",
        short=lambda it: f"requests {it.running or 0:.0f} run {it.waiting or 0:.0f} wait",
    ),
    _Kind("kv-cache", "KV cache", lambda it: it.kv_usage_ratio, lambda it: _share(it.kv_usage_ratio), 1.0),
    _Kind("gpu-hits", "hits in GPU", lambda it: it.gpu_hit_rate, lambda it: _share(it.gpu_hit_rate), 1.0),
    _Kind("hit-rate", "hits in sidecar", lambda it: it.hit_rate, lambda it: _share(it.hit_rate), 1.0),
    _Kind("l1", "L1 memory", lambda it: it.l1_usage_ratio, lambda it: _share(it.l1_usage_ratio), 1.0),
    _Kind("l2", "L2", lambda it: it.l2_used_bytes, lambda it: f"{(it.l2_used_bytes or 0.0) / 1e9:.1f} GB"),
    _Kind("nixl", "NIXL", lambda it: it.nixl_bytes_s, lambda it: f"{(it.nixl_bytes_s or 0.0) / 1e6:.1f} MB/s"),
)
