"""What a child gets from the user's environment, from dynkv and from the profile."""

from __future__ import annotations

import msgspec
import pytest
from hosts import LLAMA, host, plan

from dynkv.errors import DynkvError
from dynkv.plan.environment import handed_on_as_secrets, handed_on_as_text, is_inherited
from dynkv.secrets import SECRETS


def test_only_the_allowed_passes() -> None:
    environ = {"PATH": "/bin", "HF_HOME": "/hf", "EDITOR": "vi", "HF_TOKEN": "s3cr3t", "LC_ALL": "C.UTF-8"}
    made = plan("agg", host(1, environ=environ))
    for unit in made.units:
        assert unit.env["PATH"] == "/bin"
        assert unit.env["HF_HOME"] == "/hf"
        assert unit.env["LC_ALL"] == "C.UTF-8"
        assert not {"EDITOR", "HF_TOKEN"} & unit.env.keys()


def test_the_profile_has_the_last_word() -> None:
    made = plan("agg", host(1), {"env": {"VLLM_HOST_IP": "10.0.0.1", "DO_NOT_TRACK": 0, "MY_OWN": "x"}})
    worker = made.unit("worker-0").env
    assert (worker["VLLM_HOST_IP"], worker["DO_NOT_TRACK"], worker["MY_OWN"]) == ("10.0.0.1", "0", "x")


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_in_the_profile_is_a_name_in_the_plan(name: str) -> None:
    made = plan("agg", host(1), {"env": {name: "s3cr3t-value"}})
    assert all(name in unit.secret_env and name not in unit.env for unit in made.units)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_never_inherited_as_text(name: str) -> None:
    assert not is_inherited(name)


def test_what_a_person_has_is_handed_on_as_text_or_as_the_name_of_a_secret_or_not_at_all() -> None:
    plain = {"PATH": "/bin", "LC_ALL": "C", "HF_HOME": "/hf", "http_proxy": "http://proxy:3128"}
    secret = {"HF_TOKEN": "x", "AZURE_STORAGE_KEY": "x", "HTTPS_PROXY": "http://me:s3cr3t@proxy:3128"}
    nothing = {"EDITOR": "vi", "MY_TOKEN": "x", "DATABASE": "db://me:s3cr3t@host", "PROMETHEUS_MULTIPROC_DIR": "/x"}
    everything = {**plain, **secret, **nothing}
    assert handed_on_as_text(everything) == plain
    assert handed_on_as_secrets(everything) == tuple(sorted(secret))


@pytest.mark.parametrize(
    "settings",
    [
        {"env": {"HTTPS_PROXY": "http://me:s3cr3t@proxy:3128"}},
        {"discovery": {"nats_server": "nats://me:s3cr3t@hub:4222"}},
        {"discovery": {"backend": "etcd", "etcd_endpoints": ["http://me:s3cr3t@hub:2379"]}},
    ],
)
def test_a_password_in_an_address_is_in_no_plan(settings: dict[str, object]) -> None:
    """It is passed on as a secret, or refused."""
    try:
        made = plan("agg", host(1), settings)
    except DynkvError as error:
        assert "s3cr3t" not in error.what
    else:
        assert b"s3cr3t" not in msgspec.json.encode(made)


def test_secrets_go_where_they_are_needed() -> None:
    made = plan("agg", host(1, secret_names=("AWS_SECRET_ACCESS_KEY", "HF_TOKEN")))
    assert {unit.name: unit.secret_env for unit in made.units} == {
        "lmcache": ("AWS_SECRET_ACCESS_KEY",),
        "frontend": ("HF_TOKEN",),
        "worker-0": ("HF_TOKEN",),
    }


@pytest.mark.parametrize(
    ("adapter", "names"),
    [
        ({"type": "resp", "host": "h", "port": 1}, ("LMCACHE_RESP_PASSWORD",)),
        ({"type": "hfbucket", "bucket_handle": "hf://buckets/me/kv"}, ("HF_TOKEN", "LMCACHE_RESP_PASSWORD")),
        ({"type": "hfbucket", "bucket_handle": "hf://buckets/me/kv", "token_env": "X"}, ("LMCACHE_RESP_PASSWORD",)),
    ],
)
def test_the_sidecar_gets_what_its_adapters_ask_with(adapter: dict[str, object], names: tuple[str, ...]) -> None:
    made = plan("agg", host(1, secret_names=("HF_TOKEN", "LMCACHE_RESP_PASSWORD")), {"lmcache.l2": [adapter]})
    assert made.unit("lmcache").secret_env == names
    assert made.unit("worker-0").secret_env == ("HF_TOKEN",)


def test_a_local_model_asks_no_hub() -> None:
    assert plan("agg", host(1, model=LLAMA)).unit("worker-0").env["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in plan("agg", host(1)).unit("worker-0").env


def test_etcd_and_nats() -> None:
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
