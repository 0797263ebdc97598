"""A deployment of two units and two standbys, for tests of what shows a status."""

from __future__ import annotations

from dynkv import __version__
from dynkv.supervisor.states import State
from dynkv.supervisor.status import (
    DeploymentState,
    DeploymentStatus,
    GpuStatus,
    LastExit,
    ProbeStatus,
    StandbyState,
    StandbyStatus,
    SupervisorStatus,
    UnitStatus,
)

STATUS = DeploymentStatus(
    name="agg",
    profile="agg",
    state=DeploymentState.DEGRADED,
    endpoint="http://127.0.0.1:8000",
    model="tiny",
    started_at="2026-01-01T00:00:00.000+00:00",
    supervisor=SupervisorStatus(1, __version__, 5.0),
    units=(
        UnitStatus("frontend", "frontend", State.READY, 12, ports={"http": 8000}, probe=ProbeStatus(True, 0.004, "")),
        UnitStatus(
            "worker-0",
            "worker",
            State.FAILED,
            gpus=("0", "1"),
            restarts=5,
            uptime_s=3700.0,
            rss_bytes=12_000_000,
            last_exit=LastExit(1, None, "exit code 1", "", ""),
        ),
    ),
    kv={
        "lookup_requested_tokens": 400.0,
        "lookup_hit_tokens": 133.0,
        "hit_rate": 0.3325,
        "l1_usage_ratio": 0.25,
        "l1_used_bytes": 1.2e9,
        "registered_workers": None,
        "nixl_bytes_transferred": 4.1e9,
        "nixl_bytes_s": 351_000_000,
    },
    detail="worker-0 is failed",
    standbys=(
        StandbyStatus("standby", ("worker",), StandbyState.PARKED, 77, rss_bytes=500_000_000),
        StandbyStatus("standby-helper", (), StandbyState.ENDED, launched=2),
    ),
    gpus=(GpuStatus("0", 60_200_000_000, 80_000_000_000, 0.43), GpuStatus("1", 500_000_000, 80_000_000_000)),
)
