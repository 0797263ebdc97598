"""Which workers there are, and on which GPUs or CPUs."""

from __future__ import annotations

import pytest
from hosts import gpu, host, option, plan
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dynkv.errors import PreflightRefused, UsageError
from dynkv.plan.model import Role
from dynkv.plan.seats import Seat, group_gpus, select_gpus, share_cpus, split_roles

SLICE = "MIG-11111111-2222-3333-4444-555555555555"


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
        assert refused.value.hint == "available: 0 (NVIDIA H100), 1 (NVIDIA H100)"

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

    @pytest.mark.parametrize(
        ("sizes", "groups"),
        [
            ({"data": 4}, [("0", "1", "2", "3"), ("4", "5", "6", "7")]),
            ({"pipeline": 2, "tensor": 2}, [("0", "1", "2", "3"), ("4", "5", "6", "7")]),
            ({"data": 2, "pipeline": 2, "tensor": 2}, [("0", "1", "2", "3", "4", "5", "6", "7")]),
        ],
    )
    def test_a_worker_has_a_gpu_for_each_rank(self, sizes: dict[str, int], groups: list[tuple[str, ...]]) -> None:
        made = plan("agg", host(8), {f"workers.{kind}_parallel_size": size for kind, size in sizes.items()})
        assert [unit.gpus for unit in made.workers] == groups
        for kind in ("data", "pipeline", "tensor"):
            size = sizes.get(kind, 1 if kind == "tensor" else None)
            told = option(made.unit("worker-0").argv, f"--{kind}-parallel-size")
            assert told == (None if size is None else str(size))

    def test_too_few_for_all_ranks(self) -> None:
        with pytest.raises(PreflightRefused, match="agg needs 16 GPUs here, but 8 can be used"):
            plan("agg", host(8), {"workers.data_parallel_size": 8, "workers.tensor_parallel_size": 2})

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
        assert refused.value.what == f"disagg needs {decode + 1} GPUs here, but 2 can be used"

    def test_too_few_for_agg(self) -> None:
        with pytest.raises(PreflightRefused, match="agg needs 4 GPUs here, but 2 can be used"):
            plan("agg", host(2), {"workers.tensor_parallel_size": 4})
        with pytest.raises(PreflightRefused, match="agg needs 3 GPUs here, but 2 can be used"):
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
