"""Which unit gets which port."""

from __future__ import annotations

import pytest
from hosts import host, plan

from dynkv.errors import PortTaken, PreflightRefused
from dynkv.plan.ports import PortPlanner


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
        """worker-0 is dead and another program has its port; worker-1 runs, and must keep its own."""
        ports = PortPlanner({8081: "a stranger"}, kept={"worker-1.system": 8082})
        assert ports.free_from(8081, "worker-0.system") != 8082
        assert ports.free_from(8081, "worker-1.system") == 8082


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

    def test_figures_have_the_first_free_one_unless_the_profile_names_it(self) -> None:
        def port(taken: dict[int, str], kept: dict[str, int], **profile: object) -> int | None:
            keys = {f"metrics.{key}": value for key, value in profile.items()}
            made = plan("agg", host(1, taken_ports=taken, kept_ports=kept), keys)
            assert made.metrics is None or made.metrics.port in made.ports
            return made.metrics.port if made.metrics else None

        assert port({}, {}) == 9810
        assert port({9810: "another deployment"}, {}) == 9811
        assert port({}, {"metrics": 9817}) == 9817
        assert port({}, {"metrics": 9817}, port=9900) == 9900
        assert port({}, {}, enabled=False) is None
        with pytest.raises(PortTaken, match=r"metrics\.port"):
            port({9900: "pid 7 (nginx)"}, {}, port=9900)

    def test_the_plan_knows_those_of_all_ranks(self) -> None:
        made = plan("disagg", host(4), {"workers.tensor_parallel_size": 2})
        told = {port for unit in made.units for port in unit.ports.values()}
        assert {unit.ports["nixl"] + 1 for unit in made.workers} <= told
        assert made.metrics is not None
        assert {*made.ports} == told | {made.metrics.port}
        assert list(made.ports) == sorted(set(made.ports))

    def test_kept_ports_of_all_ranks_are_planned_again(self) -> None:
        kept = {"prefill-0.nixl": 20300, "prefill-0.nixl-1": 20301}
        made = plan("disagg", host(4, kept_ports=kept), {"workers.tensor_parallel_size": 2})
        assert made.unit("prefill-0").ports.items() >= {"nixl": 20300, "nixl-1": 20301}.items()

    def test_each_data_parallel_rank_publishes_kv_events_of_its_own(self) -> None:
        made = plan("agg-router", host(8), {"workers.data_parallel_size": 4})
        assert [[port for name, port in it.ports.items() if "kv" in name] for it in made.workers] == [
            [20081, 20082, 20083, 20084],
            [20085, 20086, 20087, 20088],
        ]

    def test_kept_ports_are_planned_again(self) -> None:
        kept = {"lmcache.zmq": 5600, "lmcache.http": 8100, "decode-0.system": 8200, "decode-0.nixl": 20200}
        made = plan("disagg", host(2, kept_ports=kept))
        assert made.unit("lmcache").ports == {"zmq": 5600, "http": 8100}
        assert made.unit("decode-0").ports == {"system": 8200, "nixl": 20200}
