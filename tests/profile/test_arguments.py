"""Arguments in a profile: which are passed on, and which the plan decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from refusals import refuse

from dynkv.profile.arguments import value_of
from dynkv.profile.load import load, parse_set


@pytest.mark.parametrize(
    ("argument", "key"),
    [
        ("--model", "model.path"),
        ("--served_model_name", "model.served_name"),
        ("--gpu-memory-utilization=0.5", "workers.gpu_memory_fraction"),
        ("-tp", "workers.tensor_parallel_size"),
        ("-t", "workers.tensor_parallel_size"),
        ("--kv-transfer-config.kv_load_failure_policy", "topology and lmcache.enabled"),
        ("--kv_transfer.kv_load_failure_policy=recompute", "topology and lmcache.enabled"),
        ("--device-memory-utilization", "workers.gpu_memory_fraction"),
        ("--gpu-memory-util", "workers.gpu_memory_fraction"),
        ("--no-disable-hybrid-kv-cache-manager", "lmcache.enabled"),
        ("--device-ids", "workers.gpus"),
        ("-dp", "workers.data_parallel_size"),
        ("--data_parallel_size=4", "workers.data_parallel_size"),
        ("--pipe", "workers.pipeline_parallel_size"),
        ("--discovery-backend=etcd", "discovery.backend"),
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
    [
        ("lmcache", "--port"),
        ("lmcache", "--http-port"),
        ("lmcache", "--http-host"),
        ("lmcache", "--worker-reap-timeout-seconds"),
        ("frontend", "--http-port"),
        ("frontend", "--request-plane"),
        ("model", "--event-plane"),
    ],
)
def test_what_the_plan_gives_is_reserved_everywhere(tmp_path: Path, section: str, flag: str) -> None:
    error = refuse(tmp_path, f"{section}:\n  args: ['{flag}', '9']\n")
    assert flag in error.what


@pytest.mark.parametrize(
    ("section", "flag"), [("lmcache", "--l1-size"), ("frontend", "--router-mo"), ("frontend", "--http-po=9")]
)
def test_a_shortened_argument_is_the_whole_one(tmp_path: Path, section: str, flag: str) -> None:
    assert "is planned by dynkv" in refuse(tmp_path, f"{section}:\n  args: ['{flag}', '9']\n").what


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("--nnodes", "on one machine"),
        ("-n2", "on one machine"),
        ("-r", "on one machine"),
        ("--node_rank=1", "on one machine"),
        ("--master-a", "on one machine"),
        ("--headless", "on one machine"),
        ("--data-parallel-rank", "in one process tree"),
        ("-dpn", "in one process tree"),
        ("--no-data-parallel-hybrid-lb", "in one process tree"),
        ("--data-parallel-backend", "Ray"),
        ("-pcp", "uses GPUs"),
        ("--config", "write its arguments here"),
    ],
)
def test_what_no_plan_can_give_is_refused_with_the_reason(tmp_path: Path, argument: str, reason: str) -> None:
    error = refuse(tmp_path, f"model:\n  args: ['{argument}', '2']\n")
    assert "cannot be planned: " in error.what
    assert reason in error.what
    assert error.where.startswith(f"{tmp_path}/mine.yaml:2:")


@pytest.mark.parametrize(
    ("section", "argument", "reason"),
    [
        ("frontend", "--tls-cert", "over plain HTTP"),
        ("frontend", "-i", "reads from a terminal"),
        ("frontend", "--no-interactive", "reads from a terminal"),
        ("lmcache", "--l1-manager={}", "does not start with it"),
    ],
)
def test_what_no_sidecar_or_frontend_works_with(tmp_path: Path, section: str, argument: str, reason: str) -> None:
    error = refuse(tmp_path, f"{section}: {{args: ['{argument}', '2']}}\n")
    assert "cannot be planned: " in error.what
    assert reason in error.what


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("frontend", ["--router-m", "kv"]),  # a prefix of several options
        ("frontend", ["--kv-events", "--router-ttl-secs", "5"]),
        ("lmcache", ["--l1", "2", "--l1-use-lazy"]),
        ("frontend", ["--no-such-option", "-1"]),  # `dynkv doctor` warns of it
    ],
)
def test_what_sidecar_and_frontend_judge_themselves(tmp_path: Path, section: str, words: list[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"{section}: {{args: {json.dumps(words)}}}\n")
    assert getattr(load(str(file)).profile, section).args == words


def test_an_alias_is_named_with_what_it_means(tmp_path: Path) -> None:
    error = refuse(tmp_path, "model:\n  args: [--gpu-memory-util, '0.5']\n")
    assert error.what.count("--gpu-memory-util (--gpu-memory-utilization) is planned by dynkv") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--enable-expert-parallel"],
        ["-ep"],
        ["--max", "3"],  # a prefix of several options, which vLLM refuses itself
        ["--head"],  # Dynamo completes no prefix, and vLLM has no such option
        ["--quantization-config", "{}"],
        ["--trust-remote-code", "--enforce-eager"],
        ["--speculative-config", '{"method": "ngram", "num_speculative_tokens": 2}'],
        ["-O3", "-cc.mode", "3"],
    ],
)
def test_the_rest_is_handed_on_as_it_is(tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"model: {{args: {json.dumps(words)}}}\n")
    assert load(str(file)).profile.model.args == words


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


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("[-q, fp8]", "--quantization"),
        ("[-qfp8]", "--quantization"),
        ("[--dt, half]", "--dtype"),
        ("[--hf_overrides.rope_theta, '1']", "--hf-overrides"),
        ("['-sc.method=ngram']", "--speculative-config"),
        ("[--spec-tokens, '2']", "--spec-tokens"),
        ("[-ac.backend, FLASHINFER]", "--attention-config"),
    ],
)
def test_the_handshake_must_agree_however_it_is_written(tmp_path: Path, words: str, option: str) -> None:
    error = refuse(tmp_path, f"model:\n  role_args:\n    decode: {words}\n")
    assert f"prefill and decode must agree on {option}" in error.what


@pytest.mark.parametrize(
    ("decode", "prefill"),
    [
        (["-q", "fp8"], ["--quantization=fp8"]),
        (["--dtype", "float", "--dtype", "half"], ["--dtype", "half"]),
        (["--hf-overrides.rope.theta", "1"], ["--hf-overrides", '{"rope": {"theta": 1}}']),
        (["--hf-overrides.a", "1", "--hf-overrides.b=x"], ["--hf_overrides", '{"b": "x", "a": 1}']),
    ],
)
def test_two_ways_to_write_the_same_agree(tmp_path: Path, decode: list[str], prefill: list[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({"model": {"role_args": {"decode": decode, "prefill": prefill}}}))
    assert load(str(file)).profile.model.role_args.decode == decode


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--kv_cache_dtype", "fp8"], "--kv-cache-dtype", "fp8"),
        (["--kv-cache-dtype=fp8", "--kv-cache-dtype", "auto"], "--kv-cache-dtype", "auto"),
        (["--dtype"], "--dtype", ""),
        (["--no-enable-lora"], "--enable-lora", "false"),
        (["--enable-lora"], "--enable-lora", "true"),
        (["--served", "a", "b", "-x"], "--served-model-name", "a b"),
        (["-ac.backend", "X"], "--attention-config", '{"backend": "X"}'),
        (["half", "-", "--"], "--dtype", None),
    ],
)
def test_what_an_option_is_set_to(words: list[str], name: str, value: str | None) -> None:
    assert value_of(name, words) == value


def test_the_same_for_both_roles_is_fine(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    text = "model:\n  role_args:\n    prefill: ['--dtype=half']\n    decode: ['--dtype', half]\n"
    file.write_text(text)
    assert load(str(file)).profile.model.role_args.prefill == ["--dtype=half"]


def test_more_ranks_than_a_machine_may_have_are_refused(tmp_path: Path) -> None:
    sizes = "tensor_parallel_size: 256, data_parallel_size: 256"
    assert "a worker of 65536 ranks" in refuse(tmp_path, f"workers: {{{sizes}}}\n").what


NUMBERS = "[--a, 8, -1, 0.5, 1e-6, 0x10]"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"model: {{args: {NUMBERS}}}", "model.args"),
        (f"model: {{role_args: {{decode: {NUMBERS}}}}}", "model.role_args.decode"),
        (f"workers: {{each: {{worker-0: {{args: {NUMBERS}}}}}}}", "workers.each.worker-0.args"),
        (f"lmcache: {{args: {NUMBERS}}}", "lmcache.args"),
        (f"frontend: {{args: {NUMBERS}}}", "frontend.args"),
        (f"units: [{{name: own, argv: {NUMBERS.replace('--a', 'sleep')}}}]", "units.0.argv"),
    ],
)
def test_numbers_are_words(tmp_path: Path, text: str, path: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    found: Any = load(str(file)).profile.model_dump()
    for part in path.split("."):
        found = found[int(part) if part.isdecimal() else part]
    assert found[1:] == ["8", "-1", "0.5", "1e-06", "16"]


def test_numbers_of_the_command_line_are_words() -> None:
    profile = load("agg", [parse_set("model.args=[--max-lora-rank,8]")]).profile
    assert profile.model.args == ["--max-lora-rank", "8"]


@pytest.mark.parametrize("word", ["true", "False"])
def test_true_is_no_word(tmp_path: Path, word: str) -> None:
    error = refuse(tmp_path, f"model:\n  args:\n    - --enable-lora\n    - {word}\n")
    assert error.what == f"model.args.1: {word.lower()} is not a word"
    assert error.where.endswith("mine.yaml:4:7")
    assert "--no-enable-lora" in error.hint
