"""Where a model of the Hugging Face Hub is on this host. Two parts of the stack look for it, each by its own rule."""

from __future__ import annotations

import re
from collections.abc import Mapping

_TRUE = {"1", "ON", "YES", "TRUE"}
"""Values that mean true. Source: huggingface_hub 1.33.0, constants.py, ENV_VARS_TRUE_VALUES."""
_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)
"""References to variables. Source: CPython 3.11, posixpath.expandvars."""


def is_offline(environ: Mapping[str, str]) -> bool:
    """Whether access to the hub is disabled. Source: huggingface_hub 1.33.0, constants.py; ai-dynamo 1.6.1, tried."""
    return environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE


def is_vllm_offline(environ: Mapping[str, str]) -> bool:
    """Whether vLLM's access to the hub is disabled, even if Dynamo's is not. Source: huggingface_hub 1.33.0,
    constants.py."""
    return (environ.get("HF_HUB_OFFLINE") or environ.get("TRANSFORMERS_OFFLINE") or "").upper() in _TRUE


def asks_modelscope(environ: Mapping[str, str]) -> bool:
    """Whether vLLM uses ModelScope. Source: vllm 0.31.0, envs.py."""
    return environ.get("VLLM_USE_MODELSCOPE", "").strip().lower() in ("1", "true")


def hub_cache(environ: Mapping[str, str]) -> str:
    """Where vLLM looks. Source: huggingface_hub 1.33.0, constants.py; an empty variable counts as set there too."""
    home = _expanded(environ.get("HF_HOME", f"{environ.get('XDG_CACHE_HOME', '~/.cache')}/huggingface"), environ)
    return _expanded(environ.get("HF_HUB_CACHE", environ.get("HUGGINGFACE_HUB_CACHE", f"{home}/hub")), environ)


def user_cache(environ: Mapping[str, str]) -> str | None:
    """The directory for caches of this user; None for one without a home. Source: XDG Base Directory Specification."""
    path = _expanded(environ.get("XDG_CACHE_HOME", "~/.cache"), environ)
    return path if path.startswith("/") else None


def dynamo_cache(environ: Mapping[str, str]) -> str:
    """Where Dynamo's workers and frontend look; they take each path literally (ai-dynamo 1.6.1, tried)."""
    if (given := environ.get("HF_HUB_CACHE")) is not None:
        return given
    return f"{environ.get('HF_HOME', _expanded('~/.cache/huggingface', environ))}/hub"


def one_cache(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables to add so that both look in the same place, where vLLM does: usually none."""
    wanted = hub_cache(environ)
    return {} if wanted == dynamo_cache(environ) else {"HF_HUB_CACHE": wanted}


def _expanded(path: str, environ: Mapping[str, str]) -> str:
    if path == "~" or path.startswith("~/"):
        path = environ.get("HOME", "~").rstrip("/") + path[1:]
    return _VARIABLE.sub(lambda found: environ.get(found[1] or found[2] or "", found[0]), path)
