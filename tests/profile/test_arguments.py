"""Arguments that a profile hands on: which it may give, and which the plan decides."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusals import refuse

from dynkv.profile.load import load


@pytest.mark.parametrize(
    ("argument", "key"),
    [
        ("--model", "model.path"),
        ("--served_model_name", "model.served_name"),
        ("--gpu-memory-utilization=0.5", "workers.gpu_memory_fraction"),
        ("-tp", "workers.tensor_parallel_size"),
        ("--kv-transfer-config", "topology and lmcache.enabled"),
        ("--disable-hybrid-kv-cache-manager", "lmcache.enabled"),
    ],
)
@pytest.mark.parametrize("place", ["args: ", "role_args:\n    prefill: "])
def test_reserved(tmp_path: Path, place: str, argument: str, key: str) -> None:
    error = refuse(tmp_path, f"model:\n  {place}['{argument}', 'x']\n")
    assert f"is planned by dynkv; set {key} instead" in error.what
    assert error.where.startswith(f"{tmp_path}/mine.yaml:")


@pytest.mark.parametrize(
    ("section", "flag"),
    [("lmcache", "--port"), ("lmcache", "--http-port"), ("lmcache", "--http-host"), ("frontend", "--http-port")],
)
def test_ports_of_the_plan_are_reserved_everywhere(tmp_path: Path, section: str, flag: str) -> None:
    error = refuse(tmp_path, f"{section}:\n  args: ['{flag}', '9']\n")
    assert flag in error.what


@pytest.mark.parametrize("section", ["lmcache", "frontend"])
def test_secrets_of_every_program(tmp_path: Path, section: str) -> None:
    error = refuse(tmp_path, f"{section}:\n  args: [--api-key, abc]\n")
    assert "--api-key would show in the command line" in error.what


def test_secrets(tmp_path: Path) -> None:
    error = refuse(tmp_path, "model:\n  args: [--hf-token, abc]\n")
    assert "--hf-token would show in the command line" in error.what
    assert "abc" not in error.what + error.hint


@pytest.mark.parametrize("flag", ["--dtype", "--kv-cache-dtype", "--attention-backend", "--quantization"])
@pytest.mark.parametrize("form", ["['{}', 'a']", "['{}=a']"])
def test_the_handshake_must_agree(tmp_path: Path, flag: str, form: str) -> None:
    error = refuse(tmp_path, f"model:\n  role_args:\n    prefill: {form.format(flag)}\n")
    assert f"prefill and decode must agree on {flag}" in error.what


def test_the_same_for_both_roles_is_fine(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    text = "model:\n  role_args:\n    prefill: ['--dtype=half']\n    decode: ['--dtype', half]\n"
    file.write_text(text)
    assert load(str(file)).profile.model.role_args.prefill == ["--dtype=half"]
