"""What counts as a secret: the one rule, for variables, options, keys of mappings and addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticCustomError

SECRETS = {
    "HF_TOKEN": "model",
    "HUGGING_FACE_HUB_TOKEN": "model",
    "AWS_ACCESS_KEY_ID": "store",
    "AWS_SECRET_ACCESS_KEY": "store",
    "AWS_SESSION_TOKEN": "store",
    "AZURE_STORAGE_CONNECTION_STRING": "store",
    "AZURE_STORAGE_KEY": "store",
    "AZURE_STORAGE_SAS_TOKEN": "store",
}
"""Secrets that are handed on, and whether whoever reads the model needs them or the sidecar's L2 store."""
_NAME = re.compile(
    r"SECRET|PASSWORD|PASSWD|CREDENTIAL|CONNECTION_?STRING"
    r"|(?:^|_)TOKEN$|(?:API|ACCESS|ACCOUNT|SHARED|STORAGE|PRIVATE)_?KEY(?:_ID)?$",
    re.IGNORECASE,
)


def is_secret(name: str, value: str = "") -> bool:
    """Whether a variable is one: by its name, or by a password in the address that it holds."""
    return name in SECRETS or looks_secret(name) or holds_credentials(value)


def looks_secret(name: str) -> bool:
    """Whether this is what the name of a secret looks like: of a variable, an option, or a key in a mapping."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lstrip("-").replace("-", "_")
    return _NAME.search(words) is not None


def holds_credentials(value: str) -> bool:
    """Whether it is a URL with a user and a password in it, as proxies have."""
    return re.search(r"://[^/@:]*:[^/@]+@", value) is not None


def only_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Those that may only be kept in memory."""
    return {name: value for name, value in variables.items() if is_secret(name, value)}


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Those that may be written and shown."""
    return {name: value for name, value in variables.items() if not is_secret(name, value)}


def refuse_secrets(mapping: Mapping[str, Any]) -> None:
    """Raise for a key that names a secret: an adapter's JSON ends up in a command line that all can read."""
    for key, value in mapping.items():
        refuse_secret(key)
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                refuse_secrets(inner)


def refuse_secret(name: str) -> None:
    """Raise for the name of a secret, of an option or of a key, whose value would be part of a command line."""
    if looks_secret(name):
        raise PydanticCustomError(
            "secret", f"{name} would show in the command line; export it in the environment instead"
        )
