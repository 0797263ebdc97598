"""Parts of a profile that may not contain a secret: all but `env` and `webhook`, since they are stored and shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from dynkv.secrets import looks_secret, secret_in

_KEPT = ("env", "webhook")
"""Keys whose secrets are kept only in memory: variables, and addresses that a hook posts to."""
_ADDRESSES = ("discovery",)
_HINT = (
    "put it under env, or export it in the environment: a program that only accepts it as an argument can be run by "
    "sh, as [sh, -c, 'exec program --api-key \"$API_KEY\"']"
)


def refuse_secrets(settings: Mapping[str, Any]) -> None:
    """Raise for the first secret; the message has its name, but not its value."""
    for path, name in _secrets(settings, ()):
        where = ".".join(path)
        raise PydanticCustomError(
            "secret",
            f"{name} would show in the command line or the journal; export it in the environment instead",
            {"key": where, "hint": _HINT},
        )


def _secrets(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _KEPT:
                continue
            if inner not in (None, "", [], {}) and looks_secret(key):
                yield (*path, key), key
            yield from _secrets(inner, (*path, key))
    elif isinstance(value, str):
        # addresses of discovery need no scheme
        if (name := secret_in(f"://{value}" if path[:1] == _ADDRESSES and "://" not in value else value)) is not None:
            yield path, name
    elif isinstance(value, Sequence):
        # an option and its value may be two words
        if all(isinstance(word, str) for word in value) and (name := secret_in(" ".join(value))) is not None:
            yield path, name
        for number, inner in enumerate(value):
            yield from _secrets(inner, (*path, str(number)))
