"""Single decisions of a plan that no golden file shows clearly."""

from __future__ import annotations

import pytest
from hosts import PYTHON, host, plan, profile

from dynkv.errors import PreflightRefused
from dynkv.plan.build import build
from dynkv.plan.facts import ModelFacts


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


def test_roles_that_are_restarted_together_are_units_in_the_plan() -> None:
    together = plan("disagg", host(4), {"workers.decode.restart_with": ["prefill", "decode"]})
    assert together.unit("decode-1").restart_with == ("decode-0", "decode-2", "prefill-0")
    assert together.unit("prefill-0").restart_with == ()
    assert all(unit.restart_with == () for unit in plan("disagg", host(4)).units)


@pytest.mark.parametrize(
    ("settings", "tokens"),
    [({}, 257), ({"model.max_length": 128}, 127), ({"lmcache.enabled": False}, 1), ({"engine": "mocker"}, 1)],
)
def test_the_first_prompt_is_longer_than_a_chunk(settings: dict[str, object], tokens: int) -> None:
    assert plan("agg", host(1), settings).warm_up_tokens == tokens


def test_a_path_of_bytes_is_none_for_the_stack_and_fine_for_units_of_ones_own() -> None:
    home = "/data/caf\udce9"
    own = {"topology": "none", "units": [{"name": "a", "argv": ["sleep", "1"]}]}
    assert build(profile("agg", own), host(0), name="a", profile_name="a", home=home).directory == f"{home}/a"
    with pytest.raises(PreflightRefused, match="DYNKV_HOME contains bytes"):
        build(profile("agg"), host(1), name="a", profile_name="a", home=home)
    with pytest.raises(PreflightRefused, match="the model contains bytes"):
        plan("agg", host(1, model=ModelFacts(True, True, home)))
