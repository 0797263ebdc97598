"""The installed programs register the metrics of the stack that rules and dashboards use.

Most appear only on GPUs or with other machines, so they are read from the programs' sources, without running them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from dynkv.observe.names import STACK_METRICS, Program

_VLLM_KINDS = {"_counter_cls": "counter", "_gauge_cls": "gauge", "_histogram_cls": "histogram"}
_OTEL_KINDS = {"create_counter": "counter", "register_gauge": "gauge", "create_histogram": "histogram"}


@dataclass(frozen=True)
class Registered:
    kind: str
    labels: tuple[str, ...] = ()


def names_of(program: Program) -> list[str]:
    return [name for name, metric in STACK_METRICS.items() if metric.program is program]


def folder(package: str) -> Path:
    """The directory of an installed package, found without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def calls(tree: ast.AST, methods: Iterable[str]) -> Iterator[tuple[str, ast.Call]]:
    """Calls of functions or methods with these names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in methods:
                yield name, node


def texts(node: ast.AST | None) -> tuple[str, ...]:
    found = ast.walk(node) if node is not None else ()
    return tuple(it.value for it in found if isinstance(it, ast.Constant) and isinstance(it.value, str))


def keyword(call: ast.Call, name: str) -> ast.AST | None:
    return next((it.value for it in call.keywords if it.arg == name), None)


@cache
def of_vllm() -> dict[str, Registered]:
    """The metrics that vLLM's logger and its NIXL connector, which gets the logger's labels, register."""
    package = folder("vllm")
    logger = ast.parse((package / "v1" / "metrics" / "loggers.py").read_text())
    labels = next(
        texts(node.value)
        for node in ast.walk(logger)
        if isinstance(node, ast.Assign) and [getattr(it, "id", "") for it in node.targets] == ["labelnames"]
    )
    connectors = package / "distributed" / "kv_transfer" / "kv_connector" / "v1"
    trees = [logger, *(ast.parse(file.read_text()) for file in connectors.rglob("*.py") if "nixl" in str(file))]
    found = {}
    for tree in trees:
        for method, call in calls(tree, _VLLM_KINDS):
            given = keyword(call, "labelnames")
            own = labels if isinstance(given, ast.Name) and given.id == "labelnames" else texts(given)
            for name in texts(keyword(call, "name"))[:1]:
                kind = _VLLM_KINDS[method]
                found[f"{name}_total" if kind == "counter" else name] = Registered(kind, own)
    return found


@cache
def of_lmcache() -> dict[str, Registered]:
    """The metrics that the sidecar registers, by their names from OpenTelemetry's exporter, which contain dots' parts
    and the unit. Labels are given only when something is counted."""
    found = {}
    for file in (folder("lmcache") / "v1").rglob("*.py"):
        if "lmcache_mp." not in (text := file.read_text()):
            continue
        for method, call in calls(ast.parse(text), _OTEL_KINDS):
            kind, unit = _OTEL_KINDS[method], "".join(texts(keyword(call, "unit"))[:1])
            for name in [it for argument in call.args for it in texts(argument) if it.startswith("lmcache_mp.")][:1]:
                parts = [name.replace(".", "_"), unit, "total" if kind == "counter" else ""]
                found["_".join(part for part in parts if part)] = Registered(kind)
    return found


def test_nothing_is_left_out() -> None:
    assert {"vllm:nixl_xfer_time_seconds", "vllm:nixl_num_failed_transfers_total"} <= {*names_of(Program.VLLM)}
    assert "vllm:nixl_post_time_seconds" in of_vllm(), "it is registered, and no query uses it"


@pytest.mark.parametrize("name", names_of(Program.VLLM))
def test_vllm_registers_it_so(name: str) -> None:
    metric = STACK_METRICS[name]
    assert of_vllm()[name] == Registered(metric.kind, metric.labels)


@pytest.mark.parametrize("name", names_of(Program.LMCACHE))
def test_lmcache_registers_it_so(name: str) -> None:
    metric = STACK_METRICS[name]
    assert of_lmcache()[name].kind == metric.kind
    subscribers = folder("lmcache") / "v1" / "mp_observability" / "subscribers" / "metrics" / "lookup.py"
    manager = folder("lmcache") / "v1" / "distributed" / "storage_manager.py"
    source = ast.parse((manager if "l2" in name else subscribers).read_text())
    assert {*metric.labels} <= {*texts(source)}


@pytest.mark.parametrize("name", names_of(Program.DYNAMO))
def test_dynamo_has_a_constant_for_it(name: str) -> None:
    tree = ast.parse((folder("dynamo") / "prometheus_names.py").read_text())
    frontend = next(it for it in tree.body if isinstance(it, ast.ClassDef) and it.name == "frontend_service")
    assert name.removeprefix("dynamo_frontend_") in texts(frontend)
