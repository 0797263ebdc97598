"""Variables that the profile gives to one role, that are passed on by themselves, and that are reported as dropped."""

from __future__ import annotations

import msgspec
import pytest
from hosts import host, plan, profile

from dynkv.plan.environment import dropped, handed_on_as_secrets, handed_on_as_text, kept_secrets
from dynkv.plan.model import Role

ROLES = {
    "env": {"A": "all", "B": "all"},
    "workers.env": {"B": "workers", "C": "workers"},
    "workers.decode.env": {"C": "decode"},
    "lmcache.env": {"B": "sidecar"},
    "frontend.env": {"A": "frontend"},
}


def test_the_nearest_entry_wins() -> None:
    made = plan("disagg", host(2), ROLES)
    assert {unit.name: [unit.env.get(name) for name in "ABC"] for unit in made.units} == {
        "lmcache": ["all", "sidecar", None],
        "frontend": ["frontend", "all", None],
        "decode-0": ["all", "workers", "decode"],
        "prefill-0": ["all", "workers", "workers"],
    }


@pytest.mark.parametrize("engine", ["vllm", "mocker"])
def test_in_agg_the_workers_entries_are_all_there_are(engine: str) -> None:
    made = plan("agg", host(1), {**ROLES, "engine": engine})
    assert [made.unit("worker-0").env[name] for name in "ABC"] == ["all", "workers", "workers"]


def test_a_roles_entry_wins_over_dynkvs_own() -> None:
    made = plan("agg", host(1), {"workers.env": {"VLLM_HOST_IP": "10.0.0.1"}, "frontend.env": {"DO_NOT_TRACK": "0"}})
    assert made.unit("worker-0").env["VLLM_HOST_IP"] == "10.0.0.1"
    assert made.unit("frontend").env["DO_NOT_TRACK"] == "0"


def test_two_roles_may_have_secrets_of_the_same_name() -> None:
    settings = {
        "env": {"HF_TOKEN": "of-all"},
        "workers.decode.env": {"HF_TOKEN": "of-decode"},
        "workers.prefill.env": {"HF_TOKEN": "of-prefill"},
        "lmcache.env": {"STORE": "redis://me:of-store@host"},
    }
    made = plan("disagg", host(2), settings)
    assert b"of-" not in msgspec.json.encode(made)
    kept = kept_secrets(profile("disagg", settings), made)
    for unit, name, value in (
        ("decode-0", "HF_TOKEN", "of-decode"),
        ("prefill-0", "HF_TOKEN", "of-prefill"),
        ("lmcache", "STORE", "redis://me:of-store@host"),
    ):
        assert kept[made.unit(unit).own_secrets[name]] == value
        assert name not in made.unit(unit).secret_env
    assert kept["HF_TOKEN"] == "of-all"
    assert "HF_TOKEN" in made.unit("frontend").secret_env


def test_what_a_role_is_given_is_a_reason_to_restart() -> None:
    """Even if the terminal's environment says the same: the profile means HOME."""
    facts = host(1, environ={"PATH": "/bin", "HOME": "/home/me"})
    made = plan("agg", facts, {"workers.env": {"HOME": "/home/me"}})
    assert "HOME" in made.unit("worker-0").heeded_env
    assert "HOME" not in made.unit("frontend").heeded_env


@pytest.mark.parametrize("key", ["workers.env", "workers.decode.env", "lmcache.env", "frontend.env"])
@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "PYTHONHASHSEED"])
def test_what_the_plan_decides_is_refused_for_a_role_too(key: str, name: str) -> None:
    with pytest.raises(Exception, match=f"{name} cannot be set"):
        plan("disagg", host(2), {key: {name: "1"}})


# --- the standby ---


def test_the_standby_has_what_all_workers_are_given() -> None:
    standby = plan("disagg", host(2), {"workers.env": {"VLLM_LOGGING_LEVEL": "DEBUG"}}).standbys[0]
    assert standby.env["VLLM_LOGGING_LEVEL"] == "DEBUG"
    assert standby.roles == (Role.DECODE, Role.PREFILL)


def test_a_role_that_was_given_something_else_does_not_start_from_it() -> None:
    """It may have been read while modules were imported."""
    made = plan("disagg", host(3), {"workers.prefill.env": {"HF_HOME": "/other"}})
    assert made.standbys[0].roles == (Role.DECODE,)
    assert made.standbys[0].env.get("HF_HOME") != "/other"


# --- what passes by itself ---


HARMLESS = (
    "DYN_LOG DYN_LOGGING_JSONL DYN_LORA_PATH DYN_MM_ALLOW_INTERNAL LMCACHE_LOG_LEVEL HUGGINGFACE_HUB_CACHE "
    "MODELSCOPE_CACHE TRANSFORMERS_OFFLINE GLOO_SOCKET_IFNAME NCCL_DEBUG UCX_TLS AWS_REGION AWS_ENDPOINT "
    "OTEL_SERVICE_NAME"
).split()
OF_THE_PLAN = (
    "DYN_NAMESPACE DYN_HTTP_PORT DYN_ROUTER_MODE DYN_SYSTEM_HOST DYN_DISCOVERY_BACKEND DYN_TCP_RPC_HOST "
    "DYN_VLLM_DISAGGREGATION_MODE DYN_MIGRATION_LIMIT LMCACHE_CONFIG_FILE LMCACHE_MP_TRANSFER_MODE NATS_SERVER "
    "ETCD_ENDPOINTS"
).split()


@pytest.mark.parametrize("name", HARMLESS)
def test_what_harms_nothing_is_handed_on(name: str) -> None:
    assert handed_on_as_text({name: "x"}) == {name: "x"}
    assert dropped({name: "x"}) == ()


@pytest.mark.parametrize("name", OF_THE_PLAN)
def test_what_would_change_the_plan_is_not_and_is_told(name: str) -> None:
    assert handed_on_as_text({name: "x"}) == {}
    assert handed_on_as_secrets({name: "x"}) == ()
    assert dropped({name: "x", "EDITOR": "vi", "DYN_LOG": "debug"}) == (name,)


def test_it_is_told_in_one_line_of_the_plan() -> None:
    facts = host(1, dropped_environ=("DYN_HTTP_PORT", "DYN_ROUTER_MODE", "LMCACHE_CONFIG_FILE"))
    told = [note for note in plan("agg", facts, {"lmcache.env": {"LMCACHE_CONFIG_FILE": "/x"}}).notes if "DYN" in note]
    assert len(told) == 1
    assert "DYN_HTTP_PORT, DYN_ROUTER_MODE;" in told[0]
    assert not [note for note in plan("agg", host(1)).notes if "passed to no process" in note]


# --- storage in a cloud ---


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ("HF_TOKEN",)),
        ({"model.path": "s3://bucket/model"}, ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN")),
        (
            {"model.loras": [{"name": "sql", "path": "s3://bucket/sql"}], "lmcache.enabled": False},
            ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN"),
        ),
    ],
)
def test_workers_that_read_from_a_cloud_get_its_keys(settings: dict[str, object], names: tuple[str, ...]) -> None:
    facts = host(1, secret_names=("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "LMCACHE_RESP_PASSWORD"))
    made = plan("agg", facts, settings)
    assert made.unit("worker-0").secret_env == names
    assert made.unit("frontend").secret_env == ("HF_TOKEN",)


def test_only_a_frontend_that_can_be_recorded_writes_down_requests_and_never_their_text() -> None:
    written = "DYN_REQUEST_TRACE_FILE_PATH"
    assert not [
        name for unit in plan("agg", host(1)).units for name in unit.env if name.startswith("DYN_REQUEST_TRACE")
    ]
    made = plan("agg", host(1), {"frontend.record": True})
    assert [unit.name for unit in made.units if written in unit.env] == ["frontend"]
    env = made.unit("frontend").env
    assert env[written] == f"{made.directory}/tmp/frontend/requests.jsonl"
    assert env["DYN_REQUEST_TRACE_RECORDS"] == "request_end"
