"""Inspecting a model's files, in its directory or in the hub's cache."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dynkv.plan.facts import ModelFiles
from dynkv.plan.hub import hub_cache

_TOKENIZERS = ("tokenizer.json", "tiktoken.model", "tokenizer.model", "tekken.json", "vocab.json", "spiece.model")
"""Tokenizer files; the first that exists counts."""
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.gguf")
"""Patterns of weights; the first that matches counts, as a model may come in several formats."""
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_MAIN = "main"
"""The revision if none is given."""


def has_params(directory: Path) -> bool:
    """Whether the model is in Mistral's own format. Source: vllm 0.31.0, `get_config`."""
    return os.path.isfile(directory / "params.json") and _any(directory, "consolidated*.safetensors")


def model_files(directory: Path) -> ModelFiles:
    """Facts about a model's directory. A file that cannot be read leads to a finding and raises nothing."""
    name = "config.json" if os.path.isfile(directory / "config.json") or not has_params(directory) else "params.json"
    config, problem = read_json(directory / name)
    return ModelFiles(
        config=config if name == "config.json" else {},
        config_problem=problem,
        tokenizer=_tokenizer(directory),
        has_chat_template=_has_chat_template(directory),
        weights_bytes=_weights_bytes(directory),
        missing_weights=_missing_weights(directory),
        only_gguf=_any(directory, "*.gguf") and not any(_any(directory, pattern) for pattern in _WEIGHTS[:-1]),
    )


def cached_model_files(
    model_id: str, environ: Mapping[str, str], revision: str | None = None, *, with_weights: bool = True
) -> ModelFiles | None:
    """Facts about a model of the hub from its cache; None if the cache does not have all that is needed.

    `environ` is the workers' environment. Source: huggingface_hub 1.33.0, `try_to_load_from_cache`.
    """
    repository = Path(hub_cache(environ)) / f"models--{model_id.replace('/', '--')}"
    snapshot = _snapshot(repository, revision or _MAIN)
    if snapshot is None or not ((snapshot / "config.json").is_file() or has_params(snapshot)):
        return None
    found = model_files(snapshot)
    if with_weights and (not found.weights_bytes or found.missing_weights):
        return None
    return replace(found, is_what_dynamo_finds=_dynamos(repository) == snapshot)


def _snapshot(repository: Path, revision: str) -> Path | None:
    """The snapshot of a branch or tag, which `refs` resolves to a commit, or of a commit."""
    try:
        commit = (repository / "refs" / revision).read_text().strip()
    except (OSError, ValueError):
        commit = revision
    found = repository / "snapshots" / commit
    return found if found.parent == repository / "snapshots" and os.path.isdir(found) else None


def _dynamos(repository: Path) -> Path | None:
    """The snapshot that Dynamo uses: `main`, else the only one, else the newest (ai-dynamo 1.6.1, tried)."""
    if main := _snapshot(repository, _MAIN):
        return main
    snapshots = list((repository / "snapshots").iterdir())
    return snapshots[0] if len(snapshots) == 1 else None


def _tokenizer(directory: Path) -> str:
    there = (name for name in _TOKENIZERS if (directory / name).is_file())
    more = (path.name for pattern in ("*.tiktoken", "tokenizer.model.v*") for path in sorted(directory.glob(pattern)))
    return next(there, None) or next(more, "")


def _has_chat_template(directory: Path) -> bool:
    """Whether Dynamo's frontend can find a chat template (ai-dynamo 1.6.1, tried)."""
    settings, _ = read_json(directory / "tokenizer_config.json")
    if settings is None:
        return False
    return "chat_template" in settings or any(
        (directory / name).is_file() for name in ("chat_template.jinja", "chat_template.json")
    )


def _weights_bytes(directory: Path) -> int:
    for pattern in _WEIGHTS:
        sizes = {path.name: path.stat().st_size for path in directory.glob(pattern) if path.is_file()}
        # Mistral publishes the weights twice, but they are loaded once
        once = {name: size for name, size in sizes.items() if not name.startswith("consolidated")} or sizes
        if once:
            return sum(once.values())
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
    """The JSON object in a file, or None and the reason."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return None, error.strerror or str(error)
    except (ValueError, RecursionError) as error:
        return None, str(error)
    return (read, "") if isinstance(read, dict) else (None, "it is not an object")


def _any(directory: Path, pattern: str) -> bool:
    return next(directory.glob(pattern), None) is not None
