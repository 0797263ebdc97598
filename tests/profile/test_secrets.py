"""Where a profile may not contain secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from adapters import Given, adapter, refuse_adapter, store

from dynkv.errors import ProfileError
from dynkv.profile.l2_generic import RawAdapter
from dynkv.profile.load import load
from dynkv.secrets import masked


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


VALUE = "s3cr3tv4lu3"
UNIT = "topology: none\nunits:\n  - name: one\n"


@pytest.mark.parametrize(
    "text",
    [
        f"model: {{path: 's3://me:{VALUE}@store/model'}}",
        f"model: {{served_name: hf_{VALUE}{VALUE}}}",
        f"model: {{args: [--hf-token, {VALUE}]}}",
        f"model: {{args: ['--hf-overrides', '{{\"api_key\": \"{VALUE}\"}}']}}",
        f"model: {{role_args: {{worker: ['--hf-token={VALUE}']}}}}",
        f"lmcache: {{args: [--api-key, {VALUE}]}}",
        f"frontend: {{args: [--api-key, {VALUE}]}}",
        f"lmcache: {{l2: [{{type: redis, url: 'redis://:{VALUE}@store'}}]}}",
        f"discovery: {{nats_server: 'nats://me:{VALUE}@hub:4222'}}",
        f"discovery: {{nats_server: 'nats://{VALUE}@hub:4222'}}",
        f"discovery: {{nats_server: '{VALUE}@hub:4222'}}",
        f"discovery: {{backend: etcd, etcd_endpoints: ['http://a:2379', 'http://me:{VALUE}@b:2379']}}",
        UNIT + f"    argv: [it, --token, {VALUE}]",
        UNIT + f"    argv: [it, '--token={VALUE}']",
        UNIT + f"    argv: [sh, -c, 'TOKEN={VALUE} exec it']",
        UNIT + f"    argv: [curl, -H, 'Authorization: Bearer {VALUE}']",
        UNIT + f"    argv: [it, 'postgres://me:{VALUE}@db']",
        UNIT
        + f"    argv: [it]\n    ports: {{http: 9}}\n    probes: {{http_get: {{port: http, path: '/?token={VALUE}'}}}}",
        f"python: /opt/python\nenv: {{HF_TOKEN: '{VALUE}', A: true}}",
        f"env: {{HF_TOKEN: {VALUE}: x}}",
        f"env:\n  HF_TOKEN: [{VALUE}]",
        f"env: {{A: b}}\nunits: 'it --api-key {VALUE}'",
    ],
)
def test_no_way_in_shows_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ProfileError) as refused:
        load(str(file))
    error = refused.value
    assert error.hint
    assert VALUE not in masked(error.what) + error.where + error.detail + error.hint


@pytest.mark.parametrize(
    "argv",
    ["[it, --token-file, /run/token]", "[sh, -c, 'exec it --token \"$TOKEN\"']", "[it, --max-tokens, '5']"],
)
def test_what_only_tells_where_a_secret_is_passes(tmp_path: Path, argv: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(UNIT + f"    argv: {argv}\n    env: {{TOKEN: {VALUE}}}\n")
    assert load(str(file)).profile.units[0].env == {"TOKEN": VALUE}


def test_the_place_is_the_words_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(UNIT + f"    argv: [it, 'postgres://me:{VALUE}@db']")
    with pytest.raises(ProfileError, match="a password in an address would show") as refused:
        load(str(file))
    assert refused.value.where.endswith("mine.yaml:4:5")
