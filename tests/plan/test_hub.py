"""Where vLLM and Dynamo look for a model of the hub, and that a plan makes both look in the same place."""

from __future__ import annotations

import pytest
from hosts import LLAMA, host, plan

from dynkv.plan.hub import dynamo_cache, hub_cache, is_offline, is_vllm_offline, one_cache

HOME = {"HOME": "/home/me"}


@pytest.mark.parametrize(
    ("environ", "vllm", "dynamo"),
    [
        ({}, "/home/me/.cache/huggingface/hub", "/home/me/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub", "/home/me/.cache/huggingface/hub"),
        ({"HF_HOME": "/h"}, "/h/hub", "/h/hub"),
        ({"HF_HOME": "/h", "XDG_CACHE_HOME": "/c"}, "/h/hub", "/h/hub"),
        ({"HF_HOME": "~/h"}, "/home/me/h/hub", "~/h/hub"),
        ({"HF_HOME": "/h", "HUGGINGFACE_HUB_CACHE": "/old"}, "/old", "/h/hub"),
        ({"HF_HUB_CACHE": "/new", "HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/h"}, "/new", "/new"),
        ({"HF_HUB_CACHE": "$HOME/${HF_X}/$HF_Y", "HF_X": "x"}, "/home/me/x/$HF_Y", "$HOME/${HF_X}/$HF_Y"),
    ],
)
def test_two_rules(environ: dict[str, str], vllm: str, dynamo: str) -> None:
    """As observed with huggingface_hub 1.33.0 and ai-dynamo 1.6.1, each with a cache made by hand."""
    environ = {**HOME, **environ}
    assert (hub_cache(environ), dynamo_cache(environ)) == (vllm, dynamo)
    both = {**environ, **one_cache(environ)}
    assert one_cache(environ) == ({} if vllm == dynamo else {"HF_HUB_CACHE": vllm})
    assert dynamo_cache(both) == vllm


@pytest.mark.parametrize(
    ("environ", "all_are", "vllm_is"),
    [
        ({}, False, False),
        ({"HF_HUB_OFFLINE": "1"}, True, True),
        ({"HF_HUB_OFFLINE": "yes"}, True, True),
        ({"HF_HUB_OFFLINE": "2"}, False, False),
        ({"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"}, False, False),
        ({"HF_HUB_OFFLINE": "", "TRANSFORMERS_OFFLINE": "1"}, False, True),
        ({"TRANSFORMERS_OFFLINE": "true"}, False, True),
    ],
)
def test_offline(environ: dict[str, str], all_are: bool, vllm_is: bool) -> None:
    """As observed with both."""
    assert (is_offline(environ), is_vllm_offline(environ)) == (all_are, vllm_is)


def test_a_plan_names_the_cache_where_they_would_differ() -> None:
    environ = {"PATH": "/bin", "HOME": "/home/me", "XDG_CACHE_HOME": "/c"}
    for unit in plan("agg", host(1, environ=environ)).units:
        assert unit.env["HF_HUB_CACHE"] == "/c/huggingface/hub"
    for unit in plan("agg", host(1, environ={**environ, "HF_HOME": "/h"})).units:
        assert "HF_HUB_CACHE" not in unit.env


def test_the_profiles_own_cache_is_written_out() -> None:
    made = plan("agg", host(1, environ={"HOME": "/home/me"}), {"env": {"HF_HUB_CACHE": "~/models"}})
    assert {unit.env["HF_HUB_CACHE"] for unit in made.units} == {"/home/me/models"}


def test_what_a_role_is_given_counts_too() -> None:
    made = plan("agg", host(1, environ={"HOME": "/home/me"}), {"workers.env": {"HF_HOME": "~/w"}})
    assert made.unit("worker-0").env["HF_HUB_CACHE"] == "/home/me/w/hub"
    assert made.standbys[0].env["HF_HUB_CACHE"] == "/home/me/w/hub", "it is read by what a standby imports"
    assert "HF_HUB_CACHE" not in made.unit("frontend").env


def test_a_model_that_is_here_needs_no_cache() -> None:
    made = plan("agg", host(1, model=LLAMA, environ={"HOME": "/home/me", "XDG_CACHE_HOME": "/c"}))
    assert all("HF_HUB_CACHE" not in unit.env for unit in made.units)
