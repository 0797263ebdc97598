"""Looking at models on the disk. Everything here is real files."""

from __future__ import annotations

import json
from pathlib import Path

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
    assert (found.has_tokenizer, found.weights_bytes, found.missing_weights) == (True, 20, ())


def test_what_is_missing(tmp_path: Path) -> None:
    write_model(tmp_path, "one.safetensors")
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "config.json").write_text("{half")
    found = model_files(tmp_path)
    assert found.config is None
    assert found.config_problem
    assert not found.has_tokenizer
    assert found.missing_weights == ("two.safetensors",)


def test_the_cache_of_the_hub(tmp_path: Path) -> None:
    repository = tmp_path / "models--Qwen--Qwen3-0.6B"
    environ = {"HF_HUB_CACHE": str(tmp_path)}
    assert cached_model_files("Qwen/Qwen3-0.6B", environ) is None
    write_model(repository / "snapshots" / "abc", "one.safetensors")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    assert cached_model_files("Qwen/Qwen3-0.6B", environ) is None, "half of it is no model"
    write_model(repository / "snapshots" / "abc", "two.safetensors")
    found = cached_model_files("Qwen/Qwen3-0.6B", environ)
    assert found is not None
    assert found.weights_bytes == 20


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
