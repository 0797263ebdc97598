"""The current state of a deployment as families: states, budgets, caches, standbys, GPUs and disks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from dynkv.host.gpus import GpuLoad
from dynkv.metrics.exposition import unit_labels
from dynkv.probes.text import Sample
from dynkv.supervisor.moments import seconds_of
from dynkv.supervisor.status import DeploymentState, DeploymentStatus, StandbyState

PRESENT_FAMILIES = {
    "dynkv_deployment_state": ("gauge", "1 for the state that the deployment is in."),
    "dynkv_deployment_start_time_seconds": ("gauge", "When the deployment was started, in seconds since 1970."),
    "dynkv_supervisor_uptime_seconds": ("gauge", "How long this supervisor has run; restarts at a takeover."),
    "dynkv_unit_restarts_left": ("gauge", "How many more deaths of the unit may be followed by a restart."),
    "dynkv_unit_hang_checks_total": ("counter", "Checks whether the unit makes progress."),
    "dynkv_unit_gpu_memory_bytes": ("gauge", "GPU memory of the unit's processes, by NVML."),
    "dynkv_gpu_memory_used_bytes": ("gauge", "Used memory of a GPU, by NVML."),
    "dynkv_gpu_memory_size_bytes": ("gauge", "Total memory of a GPU, by NVML."),
    "dynkv_gpu_utilization_ratio": ("gauge", "Share of the last moment in which a GPU computed, by NVML."),
    "dynkv_gpu_power_watts": ("gauge", "Power that a GPU draws, by NVML."),
    "dynkv_gpu_temperature_celsius": ("gauge", "Temperature of a GPU's chip, by NVML."),
    "dynkv_l1_used_bytes": ("gauge", "Bytes that the sidecar holds in L1."),
    "dynkv_l1_usage_ratio": ("gauge", "Share of L1 in use, 0 to 1."),
    "dynkv_l2_used_bytes": ("gauge", "Bytes that the sidecar counts in L2, over all adapters; 0 at its start."),
    "dynkv_l2_disk_free_bytes": ("gauge", "Free space on the disk of an L2 directory."),
    "dynkv_l2_disk_size_bytes": ("gauge", "Size of the disk of an L2 directory."),
    "dynkv_sidecar_registered_workers": ("gauge", "Workers whose KV caches the sidecar knows."),
    "dynkv_standby_state": ("gauge", "1 for the state that the standby is in."),
    "dynkv_standby_launches_total": ("counter", "Units that have started from the standby."),
    "dynkv_standby_resident_memory_bytes": (
        "gauge",
        "Resident memory of the standby, shared with units started from it.",
    ),
}
"""Type and description by name. Counters begin with this supervisor."""
_OF_CACHES = {
    "l1_used_bytes": "dynkv_l1_used_bytes",
    "l1_usage_ratio": "dynkv_l1_usage_ratio",
    "l2_used_bytes": "dynkv_l2_used_bytes",
    "registered_workers": "dynkv_sidecar_registered_workers",
}


class Beside(Struct, frozen=True):
    """Data that no status contains."""

    hang_checks: Mapping[str, int] = field(default_factory=dict)
    gpus: Mapping[str, GpuLoad] = field(default_factory=dict)
    pids: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Pids of each unit's tree."""
    disks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Free and total bytes, by L2 directory."""


def present(status: DeploymentStatus, beside: Beside) -> Iterator[Sample]:
    own = {"deployment": status.name}
    for state in DeploymentState:
        yield Sample("dynkv_deployment_state", {**own, "state": state}, int(status.state is state))
    if (since := seconds_of(status.started_at)) is not None:
        yield Sample("dynkv_deployment_start_time_seconds", own, since)
    if status.supervisor is not None:
        yield Sample("dynkv_supervisor_uptime_seconds", own, status.supervisor.uptime_s)
    for figure, name in _OF_CACHES.items():
        if (value := status.kv.get(figure)) is not None:
            yield Sample(name, own, value)
    for directory, (free, size) in beside.disks.items():
        yield Sample("dynkv_l2_disk_free_bytes", {**own, "directory": directory}, free)
        yield Sample("dynkv_l2_disk_size_bytes", {**own, "directory": directory}, size)
    yield from _of_units(status, beside)
    yield from _of_standbys(status)
    yield from _of_gpus(status, beside)


def _of_units(status: DeploymentStatus, beside: Beside) -> Iterator[Sample]:
    for unit in status.units:
        own = unit_labels(status.name, unit.name, unit.role)
        yield Sample("dynkv_unit_hang_checks_total", own, beside.hang_checks.get(unit.name, 0))
        if unit.restarts_left is not None:
            yield Sample("dynkv_unit_restarts_left", own, unit.restarts_left)
        for gpu in unit.gpus:
            if (load := beside.gpus.get(gpu)) is not None and load.used_by is not None:
                held = sum(used for pid, used in load.used_by if pid in beside.pids.get(unit.name, ()))
                yield Sample("dynkv_unit_gpu_memory_bytes", {**own, "gpu": gpu}, held)


def _of_standbys(status: DeploymentStatus) -> Iterator[Sample]:
    for standby in status.standbys:
        own = {"deployment": status.name, "standby": standby.name}
        for state in StandbyState:
            yield Sample("dynkv_standby_state", {**own, "state": state}, int(standby.state is state))
        yield Sample("dynkv_standby_launches_total", own, standby.launched)
        if standby.rss_bytes is not None:
            yield Sample("dynkv_standby_resident_memory_bytes", own, standby.rss_bytes)


def _of_gpus(status: DeploymentStatus, beside: Beside) -> Iterator[Sample]:
    for gpu, load in beside.gpus.items():
        own = {"deployment": status.name, "gpu": gpu}
        yield Sample("dynkv_gpu_memory_used_bytes", own, load.used_bytes)
        yield Sample("dynkv_gpu_memory_size_bytes", own, load.total_bytes)
        for name, value in (
            ("dynkv_gpu_utilization_ratio", load.utilisation),
            ("dynkv_gpu_power_watts", load.power_w),
            ("dynkv_gpu_temperature_celsius", load.temperature_c),
        ):
            if value is not None:
                yield Sample(name, own, value)
