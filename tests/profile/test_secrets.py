"""What counts as a secret, and that none is written anywhere."""

from __future__ import annotations

import time

import pytest
from adapters import Given, adapter, refuse_adapter, store

from dynkv.profile.l2 import RawAdapter
from dynkv.profile.secrets import SECRETS, holds_credentials, is_secret, only_secrets, without_secrets


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "") for name in SECRETS),
        ("MY_TOKEN", ""),
        ("DB_PASSWORD", ""),
        ("OPENAI_API_KEY", ""),
        ("CLIENT_SECRET", ""),
        ("HTTPS_PROXY", "http://me:s3cr3t@proxy:3128"),
    ],
)
def test_a_variable_that_is_a_secret(name: str, value: str) -> None:
    assert is_secret(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("PATH", "/bin"), ("MAX_TOKENS", "8"), ("HTTPS_PROXY", "http://proxy:3128"), ("KEYS", ""), ("A", "me:x@host")],
)
def test_a_variable_that_is_none(name: str, value: str) -> None:
    assert not is_secret(name, value)


def test_every_variable_is_on_one_side() -> None:
    given = {"HF_TOKEN": "x", "PATH": "/bin", "HTTPS_PROXY": "http://me:s3cr3t@proxy:3128", "EMPTY": ""}
    assert without_secrets(given) == {"PATH": "/bin", "EMPTY": ""}
    assert only_secrets(given) == {name: given[name] for name in ("HF_TOKEN", "HTTPS_PROXY")}


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (store("OBJ", secret_key="s3cr3t"), "secret_key"),
        (store("OBJ", access_key="s3cr3t"), "access_key"),
        (store("AZURE_BLOB", sas_token="s3cr3t"), "sas_token"),
        (store("AZURE_BLOB", account_key="s3cr3t"), "account_key"),
        (store("AZURE_BLOB", connection_string="s3cr3t"), "connection_string"),
        ({"type": "redis", "auth": {"password": "s3cr3t"}}, "password"),
    ],
)
def test_a_secret_never_gets_into_a_command_line(given: Given, key: str) -> None:
    what = refuse_adapter(given)
    assert f"{key} would show in the command line" in what
    assert "s3cr3t" not in what


@pytest.mark.parametrize(
    "key",
    ["token", "sas-token", "accessToken", "authToken", "api-key", "apiKey", "accessKeyId", "account-key", "PASSWORD"],
)
def test_a_secret_is_known_however_it_is_spelt(key: str) -> None:
    assert f"{key} would show in the command line" in refuse_adapter({"type": "redis", key: "s3cr3t"})


@pytest.mark.parametrize("key", ["tokenizer", "max_tokens", "tokens_per_chunk", "key_prefix", "keys"])
def test_what_only_sounds_like_a_secret_passes(key: str) -> None:
    assert isinstance(adapter({"type": "redis", key: "x"}), RawAdapter)


def test_a_secret_inside_a_list_is_found_too() -> None:
    assert "password would show" in refuse_adapter({"type": "redis", "nodes": [{"host": "a", "password": "s3cr3t"}]})


@pytest.mark.parametrize("text", ["://" + "a:" * 100_000, "://" * 80_000, "://a:" * 50_000])
def test_looking_for_credentials_costs_nothing(text: str) -> None:
    """With a pattern that tries each colon anew it takes half a minute."""
    began = time.process_time()
    assert not holds_credentials(text)
    assert time.process_time() - began < 2
