"""What counts as a secret, in a variable and in a text."""

from __future__ import annotations

import time

import pytest

from dynkv.secrets import SECRETS, hidden, is_secret, looks_secret, masked, only_secrets, secret_in, without_secrets

VALUE = "s3cr3tv4lu3"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "") for name in SECRETS),
        ("MY_TOKEN", ""),
        ("DB_PASSWORD", ""),
        ("DB_PASS", ""),
        ("MYSQL_PWD", ""),
        ("SSH_PASSPHRASE", ""),
        ("NATS_CREDS", ""),
        ("OPENAI_API_KEY", ""),
        ("SIGNING_KEY", ""),
        ("CLIENT_SECRET", ""),
        ("HTTPS_PROXY", "http://me:s3cr3t@proxy:3128"),
        ("NATS_SERVER", "nats://s3cr3t@hub:4222"),
        ("EXTRA_ARGS", "--served x --api-key s3cr3t"),
        ("STORE", '{"account_key": "s3cr3t"}'),
        ("ANY", "hf_abcdefghijklmnopqrst"),
        ("ANY", "-----BEGIN RSA PRIVATE KEY-----\nMIIE"),
    ],
)
def test_a_variable_that_is_a_secret(name: str, value: str) -> None:
    assert is_secret(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/bin:/opt/hf_abcdefghijklmnopqrst/bin"),
        ("MAX_TOKENS", "8"),
        ("PWD", "/home"),
        ("OLDPWD", "/home"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("HTTPS_PROXY", "http://proxy:3128"),
        ("KEYS", ""),
        ("A", "me:x@host"),
        ("POSTGRES_PASSWORD_FILE", "/run/secrets/pw"),
        ("HF_TOKEN_PATH", "/run/secrets/hf"),
        ("REPOSITORY", "ssh://git@host/it"),
        ("DATABASE", "postgresql://me@host/it"),
        ("URL", "http://token:8080/x"),
        ("ARGS", "--api-key $API_KEY"),
    ],
)
def test_a_variable_that_is_none(name: str, value: str) -> None:
    assert not is_secret(name, value)


def test_every_variable_is_on_one_side() -> None:
    given = {"HF_TOKEN": "x", "PATH": "/bin", "HTTPS_PROXY": "http://me:s3cr3t@proxy:3128", "EMPTY": ""}
    assert without_secrets(given) == {"PATH": "/bin", "EMPTY": ""}
    assert only_secrets(given) == {name: given[name] for name in ("HF_TOKEN", "HTTPS_PROXY")}


@pytest.mark.parametrize(
    "name",
    ["token", "sas-token", "accessToken", "authToken", "api-key", "apiKey", "--api-key", "accessKeyId", "PASSWORD"],
)
def test_a_name_however_it_is_spelt(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["tokenizer", "max_tokens", "tokens_per_chunk", "key_prefix", "keys", "--eos-token"])
def test_a_name_that_only_sounds_like_it(name: str) -> None:
    assert not looks_secret(name)


@pytest.mark.parametrize(
    "text",
    [
        f"TOKEN={VALUE}",
        f"run --api-key {VALUE} --port 5",
        f"run --api-key={VALUE}",
        f"run --api-key='{VALUE} {VALUE}' --port 5",
        f'{{"api_key": "{VALUE}", "b": 1}}',
        f"{{'password': '{VALUE}'}}",
        f"env:\n  HF_TOKEN: {VALUE}\n  A: b",
        f"DB_PASSWORD: correct {VALUE}",
        f"X-Api-Key: {VALUE}",
        f"Authorization: Basic {VALUE}",
        f"curl -H Bearer {VALUE}{VALUE}",
        f"postgres://me:{VALUE}@host/db",
        f"redis://:{VALUE}@host",
        f"nats://{VALUE}@host:4222",
        f"https://{VALUE}@github.com/it",
        f"GET /x?token={VALUE}",
        f"DefaultEndpointsProtocol=https;AccountKey={VALUE}==",
        f"--set env.HF_TOKEN={VALUE}",
        f"it said hf_{VALUE}{VALUE} is wrong",
        f"-----BEGIN PRIVATE KEY-----\n{VALUE}\n-----END PRIVATE KEY-----",
    ],
)
def test_a_text_without_its_secret(text: str) -> None:
    assert secret_in(text) is not None
    assert VALUE not in masked(text)
    assert "***" in masked(text)
    assert VALUE not in str(secret_in(text))
    assert masked(masked(text)) == masked(text)


def test_what_stands_around_a_secret_stays() -> None:
    text = f"run --api-key {VALUE} --port 5, HF_TOKEN='{VALUE}' at http://me:{VALUE}@host/x"
    assert masked(text) == "run --api-key *** --port 5, HF_TOKEN=*** at http://***@host/x"


def test_a_known_value_wherever_it_stands() -> None:
    assert hidden("login failed for hunter22/x", ["hunter22", "x"]) == "login failed for ***/x"


@pytest.mark.parametrize(
    "text",
    [
        "://" + "a:" * 100_000,
        "://" * 80_000,
        "://a:" * 50_000,
        "a" * 200_000,
        "--" * 100_000,
        "a=" * 100_000,
        'token="' * 50_000,
        "token: " * 50_000,
        "-----BEGIN A" * 20_000,
        "Bearer " * 50_000,
        "eyJ" * 60_000,
    ],
)
def test_looking_for_secrets_costs_nothing(text: str) -> None:
    """A pattern that restarts at each letter would take minutes."""
    began = time.process_time()
    masked(text)
    assert time.process_time() - began < 2
