"""Single decisions of a plan that no golden file shows well."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hosts import GIB, HOME, LOCAL_TINY, PACKAGES, PYTHON, host, option, plan, profile

from dynkv.errors import DynkvError
from dynkv.plan.environment import is_inherited
from dynkv.plan.facts import ModelFacts
from dynkv.plan.lmcache import l1_size_gb
from dynkv.plan.model import Condition, Dependency, Frontend, HttpGet
from dynkv.plan.order import start_stages, stop_stages
from dynkv.plan.versions import at_least
from dynkv.profile.secrets import SECRETS

DYNAMO_1_3 = {**PACKAGES, "ai-dynamo": "1.3.1"}
LLAMA = ModelFacts(is_local=True, has_config=True, path="/models/llama")


@pytest.mark.parametrize(
    ("version", "wanted", "answer"),
    [
        ("1.4.0", (1, 4), True),
        ("1.10.0", (1, 4), True),
        ("1.3.9", (1, 4), False),
        ("0.5.1", (0, 5, 1), True),
        ("0.5.0", (0, 5, 1), False),
        ("0.5.1.dev3+g12ab", (0, 5, 1), True),
        ("2.13.0+cpu", (2, 13), True),
    ],
)
def test_at_least(version: str, wanted: tuple[int, ...], answer: bool) -> None:
    assert at_least({"p": version}, "p", *wanted) is answer


def test_an_unknown_version_is_taken_to_be_new() -> None:
    assert at_least({}, "p", 99)


def test_a_version_of_two_numbers_is_as_new_as_one_that_ends_in_zero() -> None:
    assert at_least({"p": "0.5"}, "p", 0, 5, 0)


class TestServedName:
    def test_an_id_stands_for_itself(self) -> None:
        assert plan("agg", host(1)).model == "Qwen/Qwen3-0.6B"

    def test_a_directory_is_known_by_its_last_part(self) -> None:
        made = plan("agg", host(1, model=LLAMA), {"model.path": "/models/llama"})
        assert made.model == "llama"
        assert option(made.unit("worker-0").argv, "--model") == "/models/llama"

    def test_before_1_4_it_is_the_path(self) -> None:
        made = plan("agg", host(1, model=LLAMA, packages=DYNAMO_1_3), {"model.path": "/models/llama"})
        assert made.model == "/models/llama"
        assert option(made.unit("worker-0").argv, "--served-model-name") == "/models/llama"

    def test_before_1_4_an_id_stays_an_id(self) -> None:
        assert plan("agg", host(1, packages=DYNAMO_1_3)).model == "Qwen/Qwen3-0.6B"

    def test_before_1_4_the_tiny_model_too(self) -> None:
        made = plan("agg", host(0, model=LOCAL_TINY, packages=DYNAMO_1_3), {"model.path": "tiny", "device": "cpu"})
        assert made.model == f"{HOME}/_models/tiny"

    def test_one_that_is_given_wins(self) -> None:
        made = plan("agg", host(1, model=LLAMA, packages=DYNAMO_1_3), {"model.served_name": "chat"})
        assert made.model == "chat"

    def test_a_slash_is_quoted_in_the_readiness_check(self) -> None:
        checks = plan("agg", host(1)).unit("frontend").probes.readiness.checks
        assert checks[1].path == "/v1/models/Qwen%2FQwen3-0.6B/ready"
        assert checks[1].or_lists_model == "Qwen/Qwen3-0.6B"


class TestMockerWithoutLMCache:
    def test_the_sidecar_is_left_out_and_it_is_said(self) -> None:
        made = plan("disagg", host(0, packages={"ai-dynamo": "1.6.1"}), {"engine": "mocker"})
        assert [unit.name for unit in made.units] == ["frontend", "decode-0", "prefill-0"]
        assert made.notes == (f"no sidecar: lmcache is not installed for {PYTHON}, and the mocker does not use it",)
        assert made.reap_timeout_s == 0

    def test_an_engine_keeps_it(self) -> None:
        made = plan("agg", host(1, packages={"ai-dynamo": "1.6.1"}))
        assert made.units[0].name == "lmcache"
        assert made.notes == ()


class TestOrder:
    def test_disagg(self) -> None:
        units = plan("disagg", host(3)).units
        assert start_stages(units) == [["frontend", "lmcache"], ["decode-0", "decode-1"], ["prefill-0"]]
        assert stop_stages(units) == [["frontend"], ["prefill-0"], ["decode-0", "decode-1"], ["lmcache"]]

    def test_agg_without_sidecar(self) -> None:
        units = plan("agg", host(1), {"lmcache.enabled": False}).units
        assert start_stages(units) == [["frontend"], ["worker-0"]]
        assert stop_stages(units) == [["frontend"], ["worker-0"]]

    def test_what_a_worker_waits_for(self) -> None:
        assert plan("disagg", host(2)).unit("prefill-0").depends_on == (
            Dependency("frontend", Condition.STARTED),
            Dependency("lmcache", Condition.READY),
            Dependency("decode-0", Condition.READY),
        )


class TestEnvironment:
    def test_only_the_allowed_passes(self) -> None:
        environ = {"PATH": "/bin", "HF_HOME": "/hf", "EDITOR": "vi", "HF_TOKEN": "s3cr3t", "LC_ALL": "C.UTF-8"}
        made = plan("agg", host(1, environ=environ))
        for unit in made.units:
            assert unit.env["PATH"] == "/bin"
            assert unit.env["HF_HOME"] == "/hf"
            assert unit.env["LC_ALL"] == "C.UTF-8"
            assert not {"EDITOR", "HF_TOKEN"} & unit.env.keys()

    def test_the_profile_has_the_last_word(self) -> None:
        made = plan("agg", host(1), {"env": {"VLLM_HOST_IP": "10.0.0.1", "DO_NOT_TRACK": 0, "MY_OWN": "x"}})
        worker = made.unit("worker-0").env
        assert (worker["VLLM_HOST_IP"], worker["DO_NOT_TRACK"], worker["MY_OWN"]) == ("10.0.0.1", "0", "x")

    @pytest.mark.parametrize("name", SECRETS)
    def test_a_secret_in_the_profile_is_a_name_in_the_plan(self, name: str) -> None:
        made = plan("agg", host(1), {"env": {name: "s3cr3t-value"}})
        assert all(name in unit.secret_env and name not in unit.env for unit in made.units)

    @pytest.mark.parametrize("name", SECRETS)
    def test_a_secret_is_never_inherited_as_text(self, name: str) -> None:
        assert not is_inherited(name)

    @pytest.mark.parametrize(
        "settings",
        [
            {"env": {"HTTPS_PROXY": "http://me:s3cr3t@proxy:3128"}},
            {"discovery": {"nats_server": "nats://me:s3cr3t@hub:4222"}},
            {"discovery": {"backend": "etcd", "etcd_endpoints": ["http://me:s3cr3t@hub:2379"]}},
        ],
    )
    def test_a_password_in_an_address_is_in_no_plan(self, settings: dict[str, object]) -> None:
        """It is handed on as a secret, or refused."""
        try:
            made = plan("agg", host(1), settings)
        except DynkvError as error:
            assert "s3cr3t" not in error.what
        else:
            assert b"s3cr3t" not in msgspec.json.encode(made)

    def test_secrets_go_where_they_are_needed(self) -> None:
        made = plan("agg", host(1, secret_names=("AWS_SECRET_ACCESS_KEY", "HF_TOKEN")))
        assert {unit.name: unit.secret_env for unit in made.units} == {
            "lmcache": ("AWS_SECRET_ACCESS_KEY",),
            "frontend": ("HF_TOKEN",),
            "worker-0": ("HF_TOKEN",),
        }

    def test_a_local_model_asks_no_hub(self) -> None:
        assert plan("agg", host(1, model=LLAMA)).unit("worker-0").env["HF_HUB_OFFLINE"] == "1"
        assert "HF_HUB_OFFLINE" not in plan("agg", host(1)).unit("worker-0").env

    def test_etcd_and_nats(self) -> None:
        etcd = {"backend": "etcd", "etcd_endpoints": ["http://a:2379", "http://b:2379"], "nats_server": "nats://c:4222"}
        made = plan("agg", host(1), {"discovery": etcd})
        env = made.unit("worker-0").env
        assert made.discovery_dir is None
        assert "DYN_FILE_KV" not in env
        assert env["ETCD_ENDPOINTS"] == "http://a:2379,http://b:2379"
        assert env["DYN_NAMESPACE"] == "agg"
        assert (env["NATS_SERVER"], env["DYN_REQUEST_PLANE"], env["DYN_EVENT_PLANE"]) == (
            "nats://c:4222",
            "nats",
            "nats",
        )

    def test_threads_are_shared_out(self) -> None:
        cpu = {"device": "cpu", "workers.replicas": 3}
        assert plan("agg", host(0), cpu).unit("worker-2").env["OMP_NUM_THREADS"] == "5"
        assert plan("agg", host(0, cpus=(3,)), cpu).unit("worker-2").env["OMP_NUM_THREADS"] == "1"

    def test_workers_that_compute_on_cpus_have_their_own(self) -> None:
        made = plan("disagg", host(0, cpus=(2, 3, 6, 7)), {"device": "cpu"})
        assert [unit.cpus for unit in made.workers] == [(2, 3), (6, 7)]
        assert [unit.env["VLLM_CPU_OMP_THREADS_BIND"] for unit in made.workers] == ["2,3", "6,7"]

    def test_each_rank_has_its_own_too(self) -> None:
        ranks = {"device": "cpu", "workers.tensor_parallel_size": 2}
        made = plan("disagg", host(0, cpus=(0, 1, 2, 3)), ranks)
        assert made.unit("prefill-0").env["VLLM_CPU_OMP_THREADS_BIND"] == "2|3"
        made = plan("agg", host(0, cpus=(0, 1, 2, 3)), ranks)
        assert made.unit("worker-0").env["VLLM_CPU_OMP_THREADS_BIND"] == "0,1|2,3"

    def test_one_worker_alone_is_left_to_vllm(self) -> None:
        worker = plan("agg", host(0), {"device": "cpu"}).unit("worker-0")
        assert worker.cpus == ()
        assert "VLLM_CPU_OMP_THREADS_BIND" not in worker.env

    def test_a_person_knows_better_which_cpus(self) -> None:
        made = plan("disagg", host(0, environ={"VLLM_CPU_OMP_THREADS_BIND": "nobind"}), {"device": "cpu"})
        assert [unit.env["VLLM_CPU_OMP_THREADS_BIND"] for unit in made.workers] == ["nobind", "nobind"]
        assert [unit.cpus for unit in made.workers] == [(), ()]

    def test_roles_that_are_restarted_together_are_units_in_the_plan(self) -> None:
        together = plan("disagg", host(4), {"workers.decode.restart_with": ["prefill", "decode"]})
        assert together.unit("decode-1").restart_with == ("decode-0", "decode-2", "prefill-0")
        assert together.unit("prefill-0").restart_with == ()
        assert all(unit.restart_with == () for unit in plan("disagg", host(4)).units)

    def test_a_canary_only_where_asked_for(self) -> None:
        quiet = plan("agg", host(1)).unit("worker-0")
        assert quiet.probes.liveness is not None
        assert (quiet.probes.liveness.canary, "DYN_HEALTH_CHECK_ENABLED" in quiet.env) == (None, False)
        asked = plan("agg", host(1), {"probes.canary.enabled": True, "probes.canary.idle_seconds": 4}).unit("worker-0")
        assert asked.probes.liveness is not None
        assert asked.probes.liveness.canary == HttpGet(asked.ports["system"], "/health")
        assert (asked.env["DYN_HEALTH_CHECK_ENABLED"], asked.env["DYN_CANARY_WAIT_TIME"]) == ("true", "4")

    def test_who_computes_on_cpus_is_served_last(self) -> None:
        made = plan("disagg", host(0), {"device": "cpu"})
        assert [unit.nice > 0 for unit in made.units] == [unit.role.is_worker for unit in made.units]
        assert all(unit.nice == 0 for unit in plan("disagg", host(2)).units)


@pytest.mark.parametrize(
    ("settings", "available_gib", "expected"),
    [
        ({}, 256, 20),
        ({}, 40, 10),
        ({}, 2, 1),
        ({"device": "cpu"}, 256, 1),
        ({"engine": "mocker"}, 256, 1),
        ({"lmcache.l1_size_gb": 64}, 256, 64),
        ({"lmcache.l1_size_gb": 0.5, "device": "cpu"}, 256, 0.5),
    ],
)
def test_l1_size(settings: dict[str, object], available_gib: int, expected: float) -> None:
    facts = host(1, memory_available_bytes=available_gib * GIB)
    assert l1_size_gb(profile("agg", settings), facts) == expected


@pytest.mark.parametrize(
    ("settings", "tokens"),
    [({}, 257), ({"model.max_length": 128}, 127), ({"lmcache.enabled": False}, 1), ({"engine": "mocker"}, 1)],
)
def test_the_first_prompt_is_longer_than_a_chunk(settings: dict[str, object], tokens: int) -> None:
    assert plan("agg", host(1), settings).warm_up_tokens == tokens


def test_nixl_store_gets_files_with_room_for_a_chunk() -> None:
    store = {"type": "nixl_store", "backend": "POSIX", "pool_size": 8, "backend_params": {"file_path": "/kv"}}
    own = {**store, "backend_params": {"file_path": "~/kv", "file_size": "4096"}}
    argv = plan("agg", host(1), {"lmcache.l2": [store, own]}).unit("lmcache").argv
    first, second = (json.loads(word) for flag, word in pairwise(argv) if flag == "--l2-adapter")
    assert first["backend_params"] == {"file_path": "/kv", "use_direct_io": "false", "file_size": "16777216"}
    assert second["backend_params"]["file_size"] == "4096"
    assert second["backend_params"]["file_path"].startswith("/")


def test_the_persons_arguments_come_last() -> None:
    settings = {"model.args": ["--seed", "7"], "model.role_args": {"prefill": ["--max-num-seqs", "4"]}}
    made = plan("disagg", host(2), settings)
    assert made.unit("prefill-0").argv[-4:] == ("--seed", "7", "--max-num-seqs", "4")
    assert made.unit("decode-0").argv[-2:] == ("--seed", "7")


@pytest.mark.parametrize(
    ("host_name", "endpoint"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("box.lan", "http://box.lan:8000"),
    ],
)
def test_the_endpoint_can_be_reached_from_this_host(host_name: str, endpoint: str) -> None:
    assert Frontend(host_name, 8000, "m").endpoint == endpoint


def test_a_digest_is_the_same_each_time() -> None:
    before, same = plan("agg", host(1)).unit("worker-0"), plan("agg", host(1)).unit("worker-0")
    assert before.digest() == same.digest()


@pytest.mark.parametrize(
    "settings",
    [
        {"env": {"MY_OWN": "x"}},
        {"env": {"PATH": "/opt/bin"}},
        {"workers.gpus": [1]},
        {"workers.gpu_memory_fraction": 0.5},
        {"model.max_length": 1000},
    ],
    ids=str,
)
def test_a_digest_changes_with_what_a_child_has_to_be_restarted_for(settings: dict[str, Any]) -> None:
    before, after = plan("agg", host(2), {"workers.gpus": [0]}), plan("agg", host(2), {"workers.gpus": [0], **settings})
    assert before.unit("worker-0").digest() != after.unit("worker-0").digest()


@pytest.mark.parametrize(
    "settings",
    [
        {"restart.max_restarts": 99},
        {"probes.worker.liveness.stall_seconds": 500},
        {"standby": "always"},
        {"logs.keep": 9},
    ],
    ids=str,
)
def test_a_digest_stays_with_what_only_the_supervisor_does(settings: dict[str, Any]) -> None:
    before, after = plan("agg", host(1)), plan("agg", host(1), settings)
    assert [unit.digest() for unit in before.units] == [unit.digest() for unit in after.units]


def test_a_digest_changes_with_what_a_unit_of_ones_own_is_given() -> None:
    own = {"name": "exporter", "argv": ["/usr/bin/exporter"]}
    first, second, same = (
        plan("agg", host(1, environ={"PATH": path}), {"units": [{**own, "env": env}]}).unit("exporter").digest()
        for path, env in (("/bin", {"PATH": "/a"}), ("/bin", {"PATH": "/b"}), ("/usr/bin", {"PATH": "/a"}))
    )
    assert first == same != second


def test_a_digest_stays_in_another_terminal() -> None:
    here = {"PATH": "/bin", "TERM": "xterm", "HF_HOME": "/models"}
    there = {"PATH": "/usr/bin:/bin", "LANG": "C", "LC_ALL": "C", "HF_HOME": "/models"}
    first, second, third = (
        plan("agg", host(1, environ=environ)).units for environ in (here, there, {**there, "HF_HOME": "/other"})
    )
    assert second[0].env["PATH"] == "/usr/bin:/bin"
    assert [unit.digest() for unit in first] == [unit.digest() for unit in second]
    assert [unit.digest() for unit in second] != [unit.digest() for unit in third]


def test_liveness_can_be_left_out() -> None:
    made = plan("agg", host(1), {"probes.worker.startup": {}, "probes.worker.liveness": {"enabled": False}})
    assert made.unit("worker-0").probes.liveness is None
    assert made.unit("frontend").probes.liveness is not None
