"""Look at a model's files: in its directory, or in the hub's cache."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynkv.plan.facts import ModelFiles

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tekken.json", "tiktoken.model", "vocab.json", "spiece.model")
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.gguf")
"""The first that there is counts: a model may come in several formats."""
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


def model_files(directory: Path) -> ModelFiles:
    """What lies in a model's directory, which has a config.json. A file that cannot be read is a finding, no error."""
    config, problem = read_json(directory / "config.json")
    return ModelFiles(
        config=config,
        config_problem=problem,
        has_tokenizer=any((directory / name).is_file() for name in _TOKENIZERS) or _any(directory, "*.tiktoken"),
        weights_bytes=_weights_bytes(directory),
        missing_weights=_missing_weights(directory),
    )


def cached_model_files(model_id: str, environ: Mapping[str, str]) -> ModelFiles | None:
    """Of a model of the hub, as its cache has it; None where that has not all of it.

    Source: huggingface_hub, "Understand caching": refs/main names the snapshot.
    """
    repository = _hub_cache(environ) / f"models--{model_id.replace('/', '--')}"
    try:
        revision = (repository / "refs" / "main").read_text().strip()
    except OSError:
        return None
    snapshot = repository / "snapshots" / revision
    if not (snapshot / "config.json").is_file():
        return None
    found = model_files(snapshot)
    return found if found.weights_bytes and not found.missing_weights else None


def _hub_cache(environ: Mapping[str, str]) -> Path:
    """Source: huggingface_hub, "Environment variables"."""
    if given := environ.get("HF_HUB_CACHE"):
        return Path(os.path.expanduser(given))
    cache = environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.path.expanduser(environ.get("HF_HOME") or f"{cache}/huggingface")) / "hub"


def _weights_bytes(directory: Path) -> int:
    for pattern in _WEIGHTS:
        sizes = [path.stat().st_size for path in directory.glob(pattern) if path.is_file()]
        if sizes:
            return sum(sizes)
    return 0


def _missing_weights(directory: Path) -> tuple[str, ...]:
    for name in _INDEXES:
        index, _ = read_json(directory / name)
        named = index.get("weight_map") if index is not None else None
        if isinstance(named, dict):
            files = sorted({str(file) for file in named.values()})
            return tuple(file for file in files if not (directory / file).is_file())
    return ()


def read_json(path: Path) -> tuple[dict[str, Any] | None, str]:
    """The object in a file, or None and why there is none."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return None, error.strerror or str(error)
    except (ValueError, RecursionError) as error:
        return None, str(error)
    return (read, "") if isinstance(read, dict) else (None, "it holds no object")


def _any(directory: Path, pattern: str) -> bool:
    return next(directory.glob(pattern), None) is not None
