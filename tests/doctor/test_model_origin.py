"""Why a profile's model cannot be where the profile says, and what the finding suggests instead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dynkv.doctor.catalogue import CHECKS, Severity
from dynkv.doctor.findings import Case, Finding
from dynkv.doctor.model import checks
from dynkv.doctor.model_path import is_gguf, is_id, misread
from dynkv.plan.build import build
from dynkv.plan.facts import HostFacts, ModelFacts, ModelFiles
from dynkv.plan.gpus import Gpu
from dynkv.profile.load import Override, load

GIB = 1024**3
STACK = {"ai-dynamo": "1.6.1", "vllm": "0.31.0", "lmcache": "0.5.6"}
HUB = ModelFacts(is_local=False, has_config=False)
FILES = ModelFiles(config={}, weights_bytes=GIB)
HOST = HostFacts(
    gpus=(Gpu(0, "GPU-0", "NVIDIA H100", 80 * GIB, 79 * GIB),),
    memory_available_bytes=256 * GIB,
    environ={"HOME": "/home/me"},
    packages=STACK,
    model=HUB,
)
LOCAL = ModelFacts(is_local=True, has_config=True, path="/m")
UNTRIED: tuple[dict[str, str], ...] = (*({**STACK, "ai-dynamo": version} for version in ("1.3.1", "1.7.0")), {})
"""Stacks whose behaviour is unknown."""
OFFLINE = {"HF_HUB_OFFLINE": "1"}
OWN_TOKENIZER = ["--use-vllm-tokenizer"]


def found(path: str, settings: dict[str, Any] | None = None, **facts: Any) -> list[Finding]:
    """The findings about the model itself."""
    given_settings = {"model.path": path, **(settings or {})}
    overrides = [Override(tuple(key.split(".")), value, f"--set {key}") for key, value in given_settings.items()]
    loaded = load("agg", overrides)
    host = replace(HOST, **facts)
    plan = build(loaded.profile, host, name="d", profile_name="agg", home="/state")
    return [finding for finding in checks(Case(loaded, plan, host)) if finding.id.startswith("model-")]


def ids(path: str, settings: dict[str, Any] | None = None, **facts: Any) -> list[str]:
    return [finding.id for finding in found(path, settings, **facts)]


# --- what can be no path ---


@pytest.mark.parametrize("path", ["gpt2", "Qwen/Qwen3-0.6B", "org/a.b_c-d", "a" * 96 + "/" + "b" * 96])
def test_an_id(path: str) -> None:
    assert (is_id(path), misread(path)) == (True, None)


@pytest.mark.parametrize(
    ("path", "why", "instead"),
    [
        ("$HOME/m", "variables are not expanded", 'let the shell expand it: --model "$HOME/m"'),
        ("${MODELS}/m", "variables are not expanded", "write the full path"),
        ("a/b/c", "an id has at most two parts", "full path, or ORGANISATION/NAME"),
        ("models/Qwen/Qwen3-0.6B/", "an id has at most two parts", "ORGANISATION/NAME"),
        ("org/name/", "one part of it is empty", "write org/name"),
        ("org//name", "one part of it is empty", "write org/name"),
        ("org\\name", "the separator is /", "write org/name"),
        ("C:\\models\\m", "a Windows path", "write /mnt/c/models/m"),
        ("d:/models/m", "a Windows path", "write /mnt/d/models/m"),
        (" org/name", "it begins or ends with spaces", "write org/name"),
        ("   ", "it begins or ends with spaces", "write a path or an id"),
        ("org/na me", "does not allow ' ' in an id", "ORGANISATION/NAME"),
        ("org/näme", "does not allow 'ä' in an id", "ORGANISATION/NAME"),
        ("org/name:latest", "does not allow ':' in an id", "ORGANISATION/NAME"),
        ("-x", "starts or ends with -", "ORGANISATION/NAME"),
        ("org/a--b", "contains -- or ..", "ORGANISATION/NAME"),
        ("org/a..b", "contains -- or ..", "ORGANISATION/NAME"),
        ("org/name.git", "ends in .git", "ORGANISATION/NAME"),
        ("org/" + "n" * 97, "at most 96", "ORGANISATION/NAME"),
        ("org/name@v1", "a separate argument", "write org/name, and model.args: [--revision, v1]"),
        ("https://huggingface.co/org/name", "a page on the Hugging Face hub", "write org/name"),
        ("huggingface.co/org/name", "a page on the Hugging Face hub", "write org/name"),
        ("https://hf.co/org/name/tree/main", "a page on the Hugging Face hub", "write org/name"),
        (
            "https://huggingface.co/org/name/tree/v1",
            "a page on the Hugging Face hub",
            "org/name, and model.args: [--revision, v1]",
        ),
        ("https://example.org/m", "nothing in the stack reads https://", "download it and give the directory"),
        ("hf://org/name", "from hf://", "write org/name"),
        ("file:///models/m", "from file://", "write /models/m"),
    ],
)
def test_what_can_be_no_path(path: str, why: str, instead: str) -> None:
    [finding] = found(path)
    assert (finding.id, finding.severity) == ("model-path", Severity.ERROR)
    assert repr(path) in finding.what
    assert why in finding.why
    assert instead in finding.hint
    assert finding.hint != f"write {path}"
    assert finding.where == "--set model.path"


@given(st.text(min_size=1, max_size=40))
def test_whatever_is_no_id_is_told_why(path: str) -> None:
    assert (misread(path) is None) == is_id(path)


@pytest.mark.parametrize(
    ("path", "facts", "id", "words"),
    [
        ("./m", ModelFacts(True, False, "/here/m", is_there=False), "model-not-found", "there is no /here/m"),
        ("./$X/m", ModelFacts(True, False, "/here/$X/m", is_there=False), "model-path", "./$X/m"),
        ("~nobody/m", ModelFacts(True, False, "/here/~nobody/m", is_there=False), "model-path", "~nobody/m"),
        ("/m/config.json", ModelFacts(True, False, "/m/config.json", is_file=True), "model-not-found", "is a file"),
        ("/m", ModelFacts(True, False, "/m"), "model-not-found", "there is no config.json in /m"),
    ],
)
def test_a_directory_that_is_none(path: str, facts: ModelFacts, id: str, words: str) -> None:
    [finding] = found(path, model=facts)
    assert finding.id == id
    assert words in finding.what


# --- GGUF, Mistral's format, tokenizers ---


@pytest.mark.parametrize("path", ["org/name:Q4_K_M", "org/name:ud-q5_k_xl", "org/name/m.gguf", "m.GGUF", "org/n:BF16"])
def test_gguf_of_the_hub(path: str) -> None:
    assert is_gguf(path)
    assert ids(path) == ["model-gguf"]
    for untried in UNTRIED:
        assert ids(path, packages=untried) == ["model-unjudged"]


def test_gguf_on_the_disk() -> None:
    file = ModelFacts(True, False, "/m/m-Q4_K_M.gguf", is_file=True)
    assert ids("/m/m-Q4_K_M.gguf", model=file) == ["model-gguf"]
    gguf = replace(FILES, only_gguf=True)
    assert ids("/m", model=LOCAL, model_files=gguf) == ["model-gguf"]
    assert ids("/m", model=LOCAL, model_files=gguf, packages={**STACK, "vllm-gguf-plugin": "0.0.5"}) == []
    assert ids("/models.gguf", model=replace(LOCAL, path="/models.gguf"), model_files=FILES) == [], "a directory"


MISTRAL: dict[str, Any] = {
    "model": ModelFacts(True, False, "/m", has_params=True),
    "model_files": replace(FILES, tokenizer="tekken.json"),
}


def test_mistrals_own_format_is_served_with_the_workers_tokenizer() -> None:
    """Seen with ai-dynamo 1.6.1 and vllm 0.31.0 on a CPU: without it the frontend is never ready."""
    assert ids("/m", **MISTRAL) == ["model-not-found"]
    assert "--use-vllm-tokenizer" in found("/m", **MISTRAL)[0].hint
    assert ids("/m", {"model.args": OWN_TOKENIZER}, **MISTRAL) == []
    assert ids("/m", {"env": {"DYN_VLLM_USE_TOKENIZER": "on"}}, **MISTRAL) == []
    assert ids("/m", {"env": {"DYN_VLLM_USE_TOKENIZER": "0"}}, **MISTRAL) == ["model-not-found"]


@pytest.mark.parametrize("tokenizer", ["tekken.json", "tokenizer.model", "vocab.json", "spiece.model"])
def test_a_tokenizer_that_only_the_worker_reads(tokenizer: str) -> None:
    files = replace(FILES, tokenizer=tokenizer)
    [finding] = found("/m", model=LOCAL, model_files=files)
    assert (finding.id, finding.severity) == ("model-tokenizer-unread", Severity.ERROR)
    assert f"{tokenizer} in /m" in finding.what
    assert ids("/m", {"model.args": OWN_TOKENIZER}, model=LOCAL, model_files=files) == []
    assert ids("org/name", model_files=files) == ["model-tokenizer-unread"], "and so in the hub's cache"
    for untried in UNTRIED:
        assert ids("/m", model=LOCAL, model_files=files, packages=untried) == []


@pytest.mark.parametrize("tokenizer", ["tokenizer.json", "tiktoken.model", "qwen.tiktoken"])
def test_a_tokenizer_that_the_frontend_reads(tokenizer: str) -> None:
    assert ids("/m", model=LOCAL, model_files=replace(FILES, tokenizer=tokenizer)) == []


def test_a_tokenizer_from_elsewhere_is_the_workers_alone() -> None:
    files, elsewhere = replace(FILES, tokenizer=""), ["--tokenizer", "/t"]
    assert ids("/m", model=LOCAL, model_files=files) == ["model-tokenizer-missing"]
    assert ids("/m", {"model.args": elsewhere}, model=LOCAL, model_files=files) == ["model-tokenizer-unread"]
    assert ids("/m", {"model.args": [*elsewhere, *OWN_TOKENIZER]}, model=LOCAL, model_files=files) == []


def test_a_chat_template() -> None:
    files = replace(FILES, has_chat_template=False)
    assert ids("/m", model=LOCAL, model_files=files) == ["model-chat-template"]
    for args in (["--custom-jinja-template", "/t"], ["--endpoint-types=completions"], ["--use-vllm-tokenizer"]):
        assert ids("/m", {"model.args": args}, model=LOCAL, model_files=files) == []


def test_a_configuration_from_elsewhere() -> None:
    bare = ModelFacts(True, False, "/m")
    assert ids("/m", {"model.args": ["--hf-config-path", "/c"]}, model=bare) == ["model-not-found"]
    assert ids("/m", {"model.args": ["--hf-config-path", "/c", "--use-vllm-tokenizer"]}, model=bare) == []


@pytest.mark.parametrize(
    ("args", "is_judged"),
    [
        ([], True),
        (["--load-format", "safetensors"], True),
        (["--load_format=mistral"], True),
        (["--load-format", "dummy"], False),
        (["--load-format", "sharded_state"], False),
    ],
)
def test_weights_are_looked_for_where_the_format_reads_them_as_published(args: list[str], is_judged: bool) -> None:
    files = replace(FILES, weights_bytes=0)
    judged = ids("/m", {"model.args": args}, model=LOCAL, model_files=files)
    assert judged == (["model-weights-missing"] if is_judged else [])


# --- the hub, and others ---


def test_the_hub() -> None:
    assert ids("org/name") == ["model-download"]
    assert ids("org/name", model_files=FILES) == []
    [finding] = found("org/name", {"env": OFFLINE})
    assert finding.id == "model-not-cached"
    assert "/home/me/.cache/huggingface/hub" in finding.what
    assert ids("org/name", {"env": {"TRANSFORMERS_OFFLINE": "1"}}) == ["model-unjudged"], "Dynamo does not know that"
    assert ids("org/name", {"env": OFFLINE}, model_files=FILES) == []


def test_the_cache_that_is_told_is_the_one_that_is_looked_into() -> None:
    [finding] = found("org/name", {"env": {"HF_HUB_CACHE": "/big"}})
    assert "to /big," in finding.why


def test_a_revision() -> None:
    args = {"model.args": ["--revision", "v1"]}
    assert ids("org/name", args) == ["model-download", "model-revision"]
    assert all("--revision v1" in finding.hint for finding in found("org/name", args))
    assert ids("org/name", args, model_files=replace(FILES, is_what_dynamo_finds=False)) == ["model-revision"]
    assert ids("org/name", args, model_files=FILES) == []
    assert "org/name at v1" in found("org/name", {**args, "env": OFFLINE})[0].what
    assert ids("org/name", {"model.args": ["--revision", "main"]}, model_files=FILES) == []
    assert ids("/m", args, model=LOCAL, model_files=FILES) == [], "vLLM does not look at it then"


def test_a_download_directory() -> None:
    [finding] = found("org/name", {"model.args": ["--download-dir", "/big"]}, model_files=FILES)
    assert (finding.id, finding.severity) == ("model-download-dir", Severity.WARNING)
    assert "HF_HUB_CACHE: /big" in finding.hint


def test_modelscope() -> None:
    scope = {"env": {"VLLM_USE_MODELSCOPE": "True"}}
    assert ids("org/name", scope, model_files=FILES) == ["model-from-modelscope"]
    assert ids("org/name", {"env": {**scope["env"], **OFFLINE}}) == ["model-not-cached"]
    assert ids("/m", scope, model=LOCAL, model_files=FILES) == []


@pytest.mark.parametrize("path", ["s3://bucket/m", "gs://bucket/m", "az://bucket/m", "S3://bucket/m"])
def test_an_object_store(path: str) -> None:
    streamer = {"model.args": ["--load-format", "runai_streamer"]}
    assert ids(path, streamer) == ["model-object-store"]
    for untried in UNTRIED:
        assert ids(path, streamer, packages=untried) == ["model-unjudged"]
    assert ids(path, {"model.args": ["--load-format", "modelexpress"]}) == ["model-unjudged"]


def test_what_dynkv_cannot_judge_comes_with_the_command_that_would_tell() -> None:
    [finding] = found("ngc://org/team/m")
    assert (finding.id, CHECKS[finding.id].severity) == ("model-unjudged", Severity.WARNING)
    assert "ngc registry model info ngc://org/team/m" in finding.hint
