"""Workers that run vLLM."""

from __future__ import annotations

import pytest
from hosts import GIB, host, option, plan


def test_threads_are_shared_out() -> None:
    cpu = {"device": "cpu", "workers.replicas": 3}
    assert plan("agg", host(0), cpu).unit("worker-2").env["OMP_NUM_THREADS"] == "5"
    assert plan("agg", host(0, cpus=(3,)), cpu).unit("worker-2").env["OMP_NUM_THREADS"] == "1"


def test_workers_that_compute_on_cpus_have_their_own() -> None:
    made = plan("disagg", host(0, cpus=(2, 3, 6, 7)), {"device": "cpu"})
    assert [unit.cpus for unit in made.workers] == [(2, 3), (6, 7)]
    assert [unit.env["VLLM_CPU_OMP_THREADS_BIND"] for unit in made.workers] == ["2,3", "6,7"]


def test_each_rank_has_its_own_too() -> None:
    ranks = {"device": "cpu", "workers.tensor_parallel_size": 2}
    made = plan("disagg", host(0, cpus=(0, 1, 2, 3)), ranks)
    assert made.unit("prefill-0").env["VLLM_CPU_OMP_THREADS_BIND"] == "2|3"
    made = plan("agg", host(0, cpus=(0, 1, 2, 3)), ranks)
    assert made.unit("worker-0").env["VLLM_CPU_OMP_THREADS_BIND"] == "0,1|2,3"


def test_ranks_of_each_copy_have_cpus_one_copy_after_the_other() -> None:
    copies = {"device": "cpu", "workers.data_parallel_size": 2, "workers.tensor_parallel_size": 2}
    worker = plan("agg", host(0, cpus=(0, 1, 2, 3)), copies).unit("worker-0")
    assert worker.env["VLLM_CPU_OMP_THREADS_BIND"] == "0|1|2|3"


def test_one_worker_alone_is_left_to_vllm() -> None:
    worker = plan("agg", host(0), {"device": "cpu"}).unit("worker-0")
    assert worker.cpus == ()
    assert "VLLM_CPU_OMP_THREADS_BIND" not in worker.env


def test_a_person_knows_better_which_cpus() -> None:
    made = plan("disagg", host(0, environ={"VLLM_CPU_OMP_THREADS_BIND": "nobind"}), {"device": "cpu"})
    assert [unit.env["VLLM_CPU_OMP_THREADS_BIND"] for unit in made.workers] == ["nobind", "nobind"]
    assert [unit.cpus for unit in made.workers] == [(), ()]


def test_threads_fit_the_time_that_a_control_group_allows() -> None:
    """`docker --cpus=4` on a host with many CPUs: bound to all of them, a worker would start a thread for each."""
    limited = host(0, cpus=tuple(range(64)), cpus_worth=4)
    for topology, threads in (("agg", "3"), ("disagg", "1")):
        made = plan(topology, limited, {"device": "cpu"})
        settings = {(it.env["VLLM_CPU_OMP_THREADS_BIND"], it.env["OMP_NUM_THREADS"]) for it in made.workers}
        assert settings == {("nobind", threads)}
    assert [len(unit.cpus) for unit in made.workers] == [32, 32]
    given = host(0, cpus=tuple(range(64)), cpus_worth=4, environ={"VLLM_CPU_OMP_THREADS_BIND": "0-3"})
    assert plan("agg", given, {"device": "cpu"}).unit("worker-0").env["VLLM_CPU_OMP_THREADS_BIND"] == "0-3"


def test_who_computes_on_cpus_is_served_last() -> None:
    made = plan("disagg", host(0), {"device": "cpu"})
    assert [unit.nice > 0 for unit in made.units] == [unit.role.is_worker for unit in made.units]
    assert all(unit.nice == 0 for unit in plan("disagg", host(2)).units)


def test_the_persons_arguments_come_last() -> None:
    settings = {"model.args": ["--seed", "7"], "model.role_args": {"prefill": ["--max-num-seqs", "4"]}}
    made = plan("disagg", host(2), settings)
    assert made.unit("prefill-0").argv[-4:] == ("--seed", "7", "--max-num-seqs", "4")
    assert made.unit("decode-0").argv[-2:] == ("--seed", "7")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([], None),
        (["--use-vllm-tokenizer"], "chat"),
        (["--use-vllm-tokenizer", "--endpoint-types", "chat,completions"], "chat,completions"),
        (["--no-use-vllm-tokenizer"], None),
    ],
)
def test_with_vllms_tokenizer_a_worker_serves_chat_alone(args: list[str], told: str | None) -> None:
    assert option(plan("agg", host(1), {"model.args": args}).unit("worker-0").argv, "--endpoint-types") == told


@pytest.mark.parametrize(
    ("size", "counted"),
    [("2G", 2 * GIB), ("1.5g", 1_500_000_000), ("4096", 4096), ("0", 0), ("much", 0)],
)
def test_a_kv_cache_of_a_size_of_its_own_is_counted(size: str, counted: int) -> None:
    unit = plan("agg", host(1), {"model.args": [f"--kv_cache_memory={size}"]}).unit("worker-0")
    assert (unit.kv_cache_bytes, unit.gpu_memory_fraction) == (counted, 0.85)
    assert unit.gpu_share_bytes(1000) == max(850, counted)


def test_on_a_cpu_nothing_overrides_it() -> None:
    settings = {"device": "cpu", "workers.each.worker-0.args": ["--kv-cache-memory-bytes", "2G"], "workers.replicas": 2}
    made = plan("agg", host(0), settings)
    assert ["VLLM_CPU_KVCACHE_SPACE" in made.unit(f"worker-{n}").env for n in (0, 1)] == [False, True]
    assert made.unit("worker-0").kv_cache_bytes == 0


def test_roles_on_one_gpu_with_kv_caches_of_their_own_need_no_shares() -> None:
    settings = {"topology": "disagg", "workers.share_gpus": True, "model.args": ["--kv-cache-memory-bytes", "2G"]}
    assert len(plan("agg", host(1), settings).workers) == 2
