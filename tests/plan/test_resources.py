"""Ports and GPUs: who gets which."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hosts import gpu, host, option, plan
from hypothesis import given
from hypothesis import strategies as st

from dynkv.errors import PortTaken, PreflightRefused, UsageError
from dynkv.plan.model import Role
from dynkv.plan.ports import PortPlanner
from dynkv.plan.seats import Seat, group_gpus, select_gpus, share_cpus, split_roles

SLICE = "MIG-11111111-2222-3333-4444-555555555555"


class TestPorts:
    def test_each_is_given_once(self) -> None:
        ports = PortPlanner({})
        assert [ports.free_from(8081, f"worker-{n}.system") for n in range(3)] == [8081, 8082, 8083]

    def test_one_that_is_taken_is_passed_over(self) -> None:
        assert PortPlanner({8081: "pid 1", 8082: "pid 1"}).free_from(8081, "worker-0.system") == 8083

    def test_the_port_people_rely_on_is_never_moved(self) -> None:
        assert PortPlanner({}).fixed(8000, "frontend.port") == 8000
        with pytest.raises(PortTaken) as refused:
            PortPlanner({8000: "pid 7 (nginx)"}).fixed(8000, "frontend.port", "my.yaml:3:3")
        assert refused.value.exit_code == 4
        assert "8000" in refused.value.what
        assert "pid 7 (nginx)" in refused.value.what
        assert "frontend.port=8001" in refused.value.hint
        assert refused.value.where == "my.yaml:3:3"

    def test_a_fixed_port_is_given_to_nobody_else(self) -> None:
        ports = PortPlanner({})
        ports.fixed(8081, "frontend.port")
        assert ports.free_from(8081, "worker-0.system") == 8082

    def test_neighbours_are_all_free(self) -> None:
        ports = PortPlanner({20099: "pid 1"})
        assert ports.free_from(20097, "decode-0.nixl", count=4) == 20100
        assert ports.free_from(20097, "prefill-0.nixl", count=2) == 20097
        assert ports.free_from(20097, "prefill-1.nixl", count=2) == 20104

    def test_the_highest_is_the_end_of_the_last_block(self) -> None:
        assert PortPlanner({}).free_from(65534, "a.nixl", count=2) == 65534
        with pytest.raises(PreflightRefused, match="no free port from 65535 to 65535"):
            PortPlanner({}).free_from(65535, "a.nixl", count=2)

    def test_none_left(self) -> None:
        with pytest.raises(PreflightRefused, match="no free port from 32766 to 32767"):
            PortPlanner({32766: "pid 1", 32767: "pid 1"}).free_from(32766, "worker-0.system", highest=32767)

    def test_a_running_child_keeps_its_own(self) -> None:
        ports = PortPlanner({8081: "pid 1"}, kept={"worker-0.system": 8090})
        assert ports.free_from(8081, "worker-0.system") == 8090
        assert ports.free_from(8081, "worker-1.system") == 8082

    def test_a_kept_port_that_somebody_took_is_moved(self) -> None:
        ports = PortPlanner({8090: "pid 1"}, kept={"worker-0.system": 8090})
        assert ports.free_from(8081, "worker-0.system") == 8081

    def test_a_kept_port_is_given_to_no_other_unit(self) -> None:
        """worker-0 is dead and lost its port to a stranger; worker-1 runs, and must not have to move."""
        ports = PortPlanner({8081: "a stranger"}, kept={"worker-1.system": 8082})
        assert ports.free_from(8081, "worker-0.system") != 8082
        assert ports.free_from(8081, "worker-1.system") == 8082


class TestSelectGpus:
    def test_all(self) -> None:
        assert select_gpus("all", [gpu(0), gpu(1)], may_repeat=False) == (gpu(0), gpu(1))

    def test_by_index_in_the_order_of_the_list(self) -> None:
        assert select_gpus([1, "0"], [gpu(0), gpu(1)], may_repeat=False) == (gpu(1), gpu(0))

    def test_by_uuid(self) -> None:
        assert select_gpus([gpu(1).uuid], [gpu(0), gpu(1)], may_repeat=False) == (gpu(1),)

    def test_a_slice_by_its_id_alone(self) -> None:
        sliced = gpu(0, mig=SLICE)
        assert select_gpus([SLICE], [sliced, gpu(1)], may_repeat=False) == (sliced,)
        assert sliced.visible_as == SLICE
        with pytest.raises(PreflightRefused, match="there is no GPU 0"):
            select_gpus([0], [sliced, gpu(1)], may_repeat=False)

    def test_one_that_is_not_there(self) -> None:
        with pytest.raises(PreflightRefused, match="there is no GPU 2") as refused:
            select_gpus([0, 2], [gpu(0), gpu(1)], may_repeat=False)
        assert refused.value.hint == "there is 0 (NVIDIA H100), 1 (NVIDIA H100)"

    def test_one_twice(self) -> None:
        with pytest.raises(UsageError, match="GPU 0 is listed twice"):
            select_gpus([0, gpu(0).uuid], [gpu(0)], may_repeat=False)
        assert select_gpus([0, 0], [gpu(0)], may_repeat=True) == (gpu(0), gpu(0))

    def test_an_empty_list(self) -> None:
        with pytest.raises(UsageError, match="the list of GPUs is empty"):
            select_gpus([], [gpu(0)], may_repeat=False)

    def test_a_host_without_any(self) -> None:
        with pytest.raises(PreflightRefused, match="no NVIDIA GPU") as refused:
            select_gpus("all", [], may_repeat=False)
        assert "--device cpu --model tiny" in refused.value.hint


def test_groups_leave_the_rest_unused() -> None:
    assert group_gpus(["0", "1", "2", "3", "4"], 2) == [("0", "1"), ("2", "3")]
    assert group_gpus(["0"], 2) == []
    assert group_gpus(["0", "1"], 1) == [("0",), ("1",)]


@pytest.mark.parametrize(
    ("groups", "decode_per_prefill", "decode", "prefill"),
    [(2, 2, 1, 1), (3, 2, 2, 1), (4, 2, 3, 1), (6, 2, 4, 2), (8, 2, 6, 2), (8, 1, 4, 4), (8, 7, 7, 1), (2, 9, 1, 1)],
)
def test_decode_gets_the_most(groups: int, decode_per_prefill: int, decode: int, prefill: int) -> None:
    assert split_roles(groups, decode_per_prefill) == (decode, prefill)


def test_a_seat_names_its_unit() -> None:
    assert Seat(Role.PREFILL, 1, ("3",)).unit == "prefill-1"


class TestSeats:
    def test_tensor_parallel_workers_get_whole_groups(self) -> None:
        made = plan("agg", host(5), {"workers.tensor_parallel_size": 2})
        assert [unit.gpus for unit in made.workers] == [("0", "1"), ("2", "3")]
        assert [unit.env["CUDA_VISIBLE_DEVICES"] for unit in made.workers] == ["0,1", "2,3"]
        assert made.notes == ("GPUs without a worker: 4",)

    def test_a_rest_is_noted_for_gpus_listed_by_uuid_too(self) -> None:
        uuids = [gpu(index).uuid for index in range(3)]
        made = plan("agg", host(4), {"workers.tensor_parallel_size": 2, "workers.gpus": uuids})
        assert made.notes == ("GPUs without a worker: 2",)

    def test_decode_gets_the_first_of_the_list(self) -> None:
        made = plan("disagg", host(4), {"workers.gpus": [3, 1, 0]})
        assert {unit.name: unit.gpus for unit in made.workers} == {
            "decode-0": ("3",),
            "decode-1": ("1",),
            "prefill-0": ("0",),
        }

    def test_replicas_decide_the_split(self) -> None:
        made = plan("disagg", host(4), {"workers.prefill.replicas": 2})
        assert [unit.name for unit in made.workers] == ["decode-0", "decode-1", "prefill-0", "prefill-1"]

    def test_a_shared_gpu_takes_every_role(self) -> None:
        made = plan("disagg-1gpu", host(2))
        assert [(unit.name, unit.gpus, option(unit.argv, "--gpu-memory-utilization")) for unit in made.workers] == [
            ("decode-0", ("0",), "0.45"),
            ("prefill-0", ("0",), "0.4"),
        ]

    def test_a_slice_is_shown_to_its_worker_by_its_id(self) -> None:
        made = plan("agg", replace(host(), gpus=(gpu(0, mig=SLICE),)))
        assert made.unit("worker-0").env["CUDA_VISIBLE_DEVICES"] == SLICE

    @pytest.mark.parametrize("decode", [2, 3, 4])
    def test_more_replicas_than_gpus_are_refused_with_the_number_needed(self, decode: int) -> None:
        with pytest.raises(PreflightRefused) as refused:
            plan("disagg", host(2), {"workers.decode.replicas": decode})
        assert refused.value.what == f"disagg needs {decode + 1} GPUs here, and 2 can be used"

    def test_too_few_for_agg(self) -> None:
        with pytest.raises(PreflightRefused, match="agg needs 4 GPUs here, and 2 can be used"):
            plan("agg", host(2), {"workers.tensor_parallel_size": 4})
        with pytest.raises(PreflightRefused, match="agg needs 3 GPUs here, and 2 can be used"):
            plan("agg", host(2), {"workers.replicas": 3})

    def test_listed_gpus_contradict_the_cpu(self) -> None:
        with pytest.raises(UsageError, match="the device is cpu") as refused:
            plan("agg", host(0), {"device": "cpu", "workers.gpus": [0]})
        assert refused.value.exit_code == 2

    def test_replicas_on_a_cpu(self) -> None:
        made = plan("disagg", host(0), {"device": "cpu", "workers.decode.replicas": 2})
        assert [unit.name for unit in made.workers] == ["decode-0", "decode-1", "prefill-0"]

    def test_the_mocker_needs_no_gpu_even_where_a_profile_shares_one(self) -> None:
        made = plan("disagg-1gpu", host(0), {"engine": "mocker"})
        assert [unit.name for unit in made.workers] == ["decode-0", "prefill-0"]


class TestPortsOfAPlan:
    def test_nixl_has_a_port_for_each_rank(self) -> None:
        made = plan("disagg", host(8), {"workers.tensor_parallel_size": 2})
        assert {unit.name: unit.ports["nixl"] for unit in made.workers} == {
            "decode-0": 20097,
            "decode-1": 20099,
            "decode-2": 20101,
            "prefill-0": 20103,
        }

    def test_nixl_ranks_keep_clear_of_what_is_taken(self) -> None:
        made = plan("disagg", host(4, taken_ports={20098: "pid 1"}), {"workers.tensor_parallel_size": 2})
        assert [unit.ports["nixl"] for unit in made.workers] == [20099, 20101]

    def test_a_taken_frontend_port_is_refused(self) -> None:
        with pytest.raises(PortTaken, match="pid 7"):
            plan("agg", host(1, taken_ports={8000: "pid 7 (nginx)"}))

    def test_every_other_port_is_moved(self) -> None:
        made = plan("agg-router", host(2, taken_ports=dict.fromkeys([5555, 8080, 8081, 20081], "pid 7")))
        assert made.unit("lmcache").ports == {"zmq": 5556, "http": 8082}
        assert made.unit("worker-0").ports == {"system": 8083, "kv_events": 20082}

    def test_kept_ports_are_planned_again(self) -> None:
        kept = {"lmcache.zmq": 5600, "lmcache.http": 8100, "decode-0.system": 8200, "decode-0.nixl": 20200}
        made = plan("disagg", host(2, kept_ports=kept))
        assert made.unit("lmcache").ports == {"zmq": 5600, "http": 8100}
        assert made.unit("decode-0").ports == {"system": 8200, "nixl": 20200}


@given(st.sets(st.integers(0, 255), min_size=1, max_size=64), st.integers(1, 80))
def test_every_share_has_a_cpu_and_none_is_idle(cpus: set[int], shares: int) -> None:
    parts = share_cpus(sorted(cpus), shares)
    sizes = [len(part) for part in parts]
    assert len(parts) == shares
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1
    if shares <= len(cpus):
        assert [cpu for part in parts for cpu in part] == sorted(cpus), "each CPU is in one share"
    else:
        assert {cpu for part in parts for cpu in part} == cpus
