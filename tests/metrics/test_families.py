"""The metrics of several programs as one exposition that Prometheus' own parsers can read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from dynkv.metrics.families import Families, NotReadable, Source, as_openmetrics, as_text, families_of, merged
from dynkv.probes.text import samples

ONE, TWO = Source("agg", "worker-0", "worker"), Source("agg", "worker-1", "worker")
COUNTER = """\
# HELP hits_total Tokens, "found" or not: C:\\\\x
# TYPE hits_total counter
hits_total{engine="0"} 5.0
# HELP hits_created Tokens
# TYPE hits_created gauge
hits_created{engine="0"} 1.7e+09
"""
HISTOGRAM = """\
# TYPE took_seconds histogram
took_seconds_bucket{le="0.5"} 1
took_seconds_bucket{le="+Inf"} 2
took_seconds_sum 1.5
took_seconds_count 2
"""


def families(*told: tuple[str, Source]) -> Families:
    return merged([families_of(text, source) for text, source in told])


def read(*told: tuple[str, Source]) -> dict[str, Metric]:
    """The families by name."""
    return {it.name: it for it in read_text(as_text(families(*told)))}


def test_a_family_of_several_units_is_there_once_with_their_labels() -> None:
    text = as_text(families((COUNTER, ONE), (COUNTER, TWO)))
    assert text.count("# TYPE hits_total counter") == 1
    found = next(it for it in read_text(text) if it.name == "hits")
    assert found.documentation == 'Tokens, "found" or not: C:\\x'
    assert [it.labels for it in found.samples] == [
        {"deployment": "agg", "unit": unit, "role": "worker", "engine": "0"} for unit in ("worker-0", "worker-1")
    ]


def test_openmetrics_has_counters_without_their_end_and_when_they_began_left_out() -> None:
    text = as_openmetrics(families((COUNTER + HISTOGRAM + "odd 1\n# TYPE bare counter\nbare 2\n", ONE)))
    found = {it.name: it for it in read_openmetrics(text)}  # type: ignore[no-untyped-call]
    assert {name: it.type for name, it in found.items()} == {
        "hits": "counter",
        "took_seconds": "histogram",
        "odd": "unknown",
        "bare": "unknown",
    }
    assert found["hits"].samples[0].name == "hits_total"
    assert text.endswith("# EOF\n")


@pytest.mark.parametrize("name", ["unit", "role", "deployment"])
def test_a_label_of_its_own_with_our_name_is_exported(name: str) -> None:
    found = read((f'x{{{name}="mine",exported_{name}="too"}} 1', ONE))["x"].samples[0].labels
    assert (found[name], found[f"exported_{name}"], found[f"exported_exported_{name}"]) == (
        ONE.labels[name],
        "too",
        "mine",
    )


def test_who_has_a_family_as_another_kind_is_left_out() -> None:
    found = read(("# TYPE x gauge\nx 1\n", ONE), ("# TYPE x counter\nx 2\n", TWO))["x"]
    assert [it.labels["unit"] for it in found.samples] == ["worker-0"]
    found = read((HISTOGRAM, ONE), ("took_seconds_sum 7\n", TWO))["took_seconds"]
    assert [it.labels["unit"] for it in found.samples] == ["worker-0"] * 4


def test_a_series_that_is_there_twice_counts_once() -> None:
    assert as_text(families(('x{a="1"} 1\nx{a="1"} 2\n', ONE))).count("\nx{") == 1


@pytest.mark.parametrize(
    "text",
    ["<html>no</html>", "x 1\nnot a sample at all\n", 'x{a="1",a="2"} 1', 'x{__name__="y"} 1', 'x{a="1} 1', "x one"],
)
def test_what_is_no_exposition_is_not_taken_in_part(text: str) -> None:
    with pytest.raises(NotReadable):
        families_of(text, ONE)


def test_a_timestamp_an_exemplar_and_spaces_are_no_fault() -> None:
    text = 'x { a = "1" , } 1 1700000000000\ny_total 2 # {id="7"} 1.0\n\n# EOF\n'
    assert [it.value for family in read((text, ONE)).values() for it in family.samples] == [1, 2]


NAMES = st.sampled_from("x x_total x_sum x_bucket x_created y:z".split())
LABELS = st.dictionaries(
    st.sampled_from("le unit a exported_unit".split()), st.text('a"\\\n{},= 1é', max_size=4), max_size=3
)
KINDS = st.sampled_from("counter gauge histogram summary untyped nonsense".split())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _line(name: str, labels: dict[str, str], value: str) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value}" if labels else f"{name} {value}"


LINES = st.builds(_line, NAMES, LABELS, st.sampled_from("1 2.5 NaN +Inf -Inf 1e-05".split()))
TYPES = st.builds(lambda name, kind: f"# TYPE {name} {kind}", NAMES, KINDS)
TEXTS = st.lists(st.one_of(LINES, TYPES, st.just("# HELP x any\\\\thing")), max_size=8).map("\n".join)


@given(TEXTS, TEXTS)
def test_whatever_units_say_comes_out_in_the_format(first: str, second: str) -> None:
    found = families((first, ONE), (second, TWO))
    text, openmetrics = as_text(found), as_openmetrics(found)
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    assert len(list(samples(text))) == len(lines)
    assert len({line.rpartition(" ")[0] for line in lines}) == len(lines), "no series is there twice"
    named = [line.split(" ")[2] for line in text.split("\n") if line.startswith("# TYPE")]
    assert len({*named}) == len(named), "no family is there twice"
    assert openmetrics.split("\n")[-2:] == ["# EOF", ""]
