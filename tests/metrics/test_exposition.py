"""What Prometheus reads, read by its own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from dynkv import __version__
from dynkv.metrics.exposition import exposition
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentState, DeploymentStatus, UnitStatus

UNITS = (
    UnitStatus("worker-0", "worker", State.READY, restarts=3, rss_bytes=1 << 30, ready_after_s=12.5),
    UnitStatus("lmcache", "lmcache", State.BACKOFF),
)


def parsed(name: str = "agg") -> dict[tuple[str, str], dict[str, float]]:
    """Values by metric and process; the states' by their names."""
    status = DeploymentStatus(name, "agg", DeploymentState.READY, "", "", "", None, UNITS)
    found: dict[tuple[str, str], dict[str, float]] = {}
    for family in text_string_to_metric_families(exposition(status)):
        assert family.documentation
        for sample in family.samples:
            assert sample.labels.get("deployment", name) == name
            key = sample.name, sample.labels.get("process", "")
            found.setdefault(key, {})[sample.labels.get("state") or sample.labels.get("version", "")] = sample.value
    return found


def test_one_state_of_each_unit_is_1() -> None:
    for unit in UNITS:
        states = parsed()["dynkv_process_state", unit.name]
        assert states == {state: float(state is unit.state) for state in State}


def test_figures() -> None:
    found = parsed()
    assert found["dynkv_process_restarts_total", "worker-0"] == {"": 3}
    assert found["dynkv_process_restarts_total", "lmcache"] == {"": 0}
    assert found["dynkv_process_resident_memory_bytes", "worker-0"] == {"": 1 << 30}
    assert found["dynkv_process_startup_duration_seconds", "worker-0"] == {"": 12.5}
    assert found["dynkv_build_info", ""] == {__version__: 1}


def test_what_is_not_known_is_not_there() -> None:
    assert ("dynkv_process_resident_memory_bytes", "lmcache") not in parsed()
    assert ("dynkv_process_startup_duration_seconds", "lmcache") not in parsed()


def test_labels_are_escaped() -> None:
    name = 'a"b\\c\nd\\n'
    assert parsed(name)["dynkv_process_restarts_total", "worker-0"] == {"": 3}
