"""Inspecting model directories, with real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dynkv.doctor.model_files import cached_model_files, model_files
from dynkv.host.disks import free_bytes, room_bytes
from dynkv.host.gpus import pci_devices


def write_model(folder: Path, *weights: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"num_hidden_layers": 2}')
    (folder / "tokenizer.json").write_text("{}")
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in weights:
        (folder / name).write_bytes(b"x" * 10)


def test_a_whole_model(tmp_path: Path) -> None:
    write_model(tmp_path, "one.safetensors", "two.safetensors")
    found = model_files(tmp_path)
    assert found.config == {"num_hidden_layers": 2}
    assert (found.tokenizer, found.weights_bytes, found.missing_weights) == ("tokenizer.json", 20, ())


def test_what_is_missing(tmp_path: Path) -> None:
    write_model(tmp_path, "one.safetensors")
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "config.json").write_text("{half")
    found = model_files(tmp_path)
    assert found.config is None
    assert found.config_problem
    assert not found.tokenizer
    assert found.missing_weights == ("two.safetensors",)


def test_the_cache_of_the_hub(tmp_path: Path) -> None:
    repository = tmp_path / "models--Qwen--Qwen3-0.6B"
    environ = {"HF_HUB_CACHE": str(tmp_path)}
    assert cached_model_files("Qwen/Qwen3-0.6B", environ) is None
    write_model(repository / "snapshots" / "abc", "one.safetensors")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    assert cached_model_files("Qwen/Qwen3-0.6B", environ) is None, "half of it is no model"
    assert cached_model_files("Qwen/Qwen3-0.6B", environ, with_weights=False) is not None
    write_model(repository / "snapshots" / "abc", "two.safetensors")
    found = cached_model_files("Qwen/Qwen3-0.6B", environ)
    assert found is not None
    assert found.weights_bytes == 20


def cached(cache: Path, snapshot: str, *refs: str) -> None:
    repository = cache / "models--org--name"
    write_model(repository / "snapshots" / snapshot, "one.safetensors", "two.safetensors")
    for ref in refs:
        (repository / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (repository / "refs" / ref).write_text(snapshot)


@pytest.mark.parametrize("revision", ["v1", "refs/pr/7", "b" * 40])
def test_a_revision_is_a_branch_a_tag_or_a_commit(tmp_path: Path, revision: str) -> None:
    cached(tmp_path, "b" * 40, "v1", "refs/pr/7")
    environ = {"HF_HUB_CACHE": str(tmp_path)}
    found = cached_model_files("org/name", environ, revision)
    assert found is not None
    assert found.is_what_dynamo_finds, "there is nothing else to find"
    assert cached_model_files("org/name", environ) is None, "nobody has asked for main"
    cached(tmp_path, "a" * 40, "main")
    found, main = (cached_model_files("org/name", environ, it) for it in (revision, None))
    assert found is not None
    assert main is not None
    assert (found.is_what_dynamo_finds, main.is_what_dynamo_finds) == (False, True)


@pytest.mark.parametrize("revision", ["v2", "c" * 40, "..", ".", "", "/etc/passwd", "../../x", "a\0b", "x" * 5000])
def test_a_revision_that_is_not_there(tmp_path: Path, revision: str) -> None:
    cached(tmp_path, "b" * 40, "v1")
    assert cached_model_files("org/name", {"HF_HUB_CACHE": str(tmp_path)}, revision) is None


def test_what_mistral_publishes(tmp_path: Path) -> None:
    """Its own format next to the usual one: only one of the two sets of weights is loaded."""
    (tmp_path / "params.json").write_text("{}")
    (tmp_path / "tekken.json").write_text("{}")
    (tmp_path / "consolidated.safetensors").write_bytes(b"x" * 20)
    found = model_files(tmp_path)
    assert (found.config, found.config_problem, found.tokenizer) == ({}, "", "tekken.json")
    assert found.weights_bytes == 20
    write_model(tmp_path, "one.safetensors", "two.safetensors")
    found = model_files(tmp_path)
    assert (found.config, found.tokenizer) == ({"num_hidden_layers": 2}, "tokenizer.json")
    assert found.weights_bytes == 20


@pytest.mark.parametrize(
    ("files", "has_template"),
    [
        ({}, False),
        ({"tokenizer_config.json": "{}"}, False),
        ({"tokenizer_config.json": "{half"}, False),
        ({"tokenizer_config.json": '{"chat_template": "x"}'}, True),
        ({"tokenizer_config.json": "{}", "chat_template.jinja": "x"}, True),
        ({"chat_template.jinja": "x"}, False),
    ],
)
def test_where_the_frontend_finds_a_chat_template(tmp_path: Path, files: dict[str, str], has_template: bool) -> None:
    """As ai-dynamo 1.6.1 did with the tiny model."""
    write_model(tmp_path)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert model_files(tmp_path).has_chat_template is has_template


def test_weights_in_gguf_alone(tmp_path: Path) -> None:
    write_model(tmp_path)
    (tmp_path / "m-Q4_K_M.gguf").write_bytes(b"GGUF")
    assert model_files(tmp_path).only_gguf
    (tmp_path / "one.safetensors").write_bytes(b"x")
    assert not model_files(tmp_path).only_gguf


def test_room_counts_what_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "block").write_bytes(b"x" * 50_000_000)
    free, room = free_bytes(tmp_path / "not" / "there"), room_bytes(tmp_path)
    assert free is not None
    assert room is not None
    assert room >= 50_000_000


def test_gpus_on_the_pci_bus(tmp_path: Path) -> None:
    for name, vendor, kind in (("a", "0x10de", "0x030200"), ("b", "0x10de", "0x040300"), ("c", "0x8086", "0x030000")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(vendor + "\n")
        (tmp_path / name / "class").write_text(kind + "\n")
    assert pci_devices(tmp_path) == 1
