"""The metrics that Prometheus reads, parsed by its own parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from dynkv import __version__
from dynkv.metrics.exposition import FAMILIES, REPLACED, family, own_samples
from dynkv.probes.text import Sample, samples
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentState, DeploymentStatus, UnitStatus

UNITS = (
    UnitStatus("worker-0", "worker", State.READY, restarts=3, rss_bytes=1 << 30, ready_after_s=12.5),
    UnitStatus("lmcache", "lmcache", State.BACKOFF),
)


def served(name: str = "agg") -> str:
    status = DeploymentStatus(name, "agg", DeploymentState.READY, "", "", "", None, UNITS)
    return "".join(family(each, *FAMILIES[each], samples) for each, samples in own_samples(status).items())


def parsed(name: str = "agg", label: str = "unit") -> dict[tuple[str, str], dict[str, float]]:
    """Values by metric and unit; for states, by their names."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for it in text_string_to_metric_families(served(name)):
        assert it.documentation
        for sample in it.samples:
            assert sample.labels.get("deployment", name) == name
            key = sample.name, sample.labels.get(label, "")
            found.setdefault(key, {})[sample.labels.get("state") or sample.labels.get("version", "")] = sample.value
    return found


def test_one_state_of_each_unit_is_1() -> None:
    for unit in UNITS:
        states = parsed()["dynkv_unit_state", unit.name]
        assert states == {state: float(state is unit.state) for state in State}


def test_figures() -> None:
    found = parsed()
    assert found["dynkv_unit_restarts_total", "worker-0"] == {"": 3}
    assert found["dynkv_unit_restarts_total", "lmcache"] == {"": 0}
    assert found["dynkv_unit_resident_memory_bytes", "worker-0"] == {"": 1 << 30}
    assert found["dynkv_unit_startup_duration_seconds", "worker-0"] == {"": 12.5}
    assert found["dynkv_build_info", ""] == {__version__: 1}


def test_what_is_not_known_is_not_there() -> None:
    assert ("dynkv_unit_resident_memory_bytes", "lmcache") not in parsed()
    assert ("dynkv_unit_startup_duration_seconds", "lmcache") not in parsed()


@pytest.mark.parametrize(("old", "new"), REPLACED.items())
def test_the_names_of_before_say_the_same_and_what_replaces_them(old: str, new: str) -> None:
    for unit in UNITS:
        before, now = parsed(label="process").get((old, unit.name)), parsed().get((new, unit.name))
        assert before == now
    assert f"# HELP {old} Deprecated: {new} replaces it.\n" in served()
    assert old.replace("dynkv_process_", "dynkv_unit_") == new


def test_labels_are_escaped() -> None:
    name = 'a"b\\c\nd\\n'
    assert parsed(name)["dynkv_unit_restarts_total", "worker-0"] == {"": 3}


LABEL_NAMES = st.from_regex(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,5}", fullmatch=True)
"""Prometheus reserves names that begin with two underscores."""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SERIES = st.builds(Sample, st.just("x"), st.dictionaries(LABEL_NAMES, TEXTS, max_size=3), st.floats(allow_nan=False))


@given(st.lists(SERIES, max_size=4))
def test_what_is_written_is_read_as_it_was(written: list[Sample]) -> None:
    text = family("x", "gauge", "Anything.", written)
    assert list(samples(text)) == written
    read = [it for each in text_string_to_metric_families(text) for it in each.samples]
    assert [it.value for it in read] == [it.value for it in written]
