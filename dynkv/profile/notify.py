"""Whom to notify when the deployment is not well, or is well again."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.fields import PositiveSeconds, Seconds, Section
from dynkv.profile.units import Argv

_RETRIES_MAX = 10
_HOOKS_MAX = 20
_HINT = "write it as http://HOST/PATH or https://HOST/PATH"


def _check_url(url: str) -> str:
    """Check the URL. Messages never contain it, since the whole URL may be a secret."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or any(not "!" <= character <= "~" for character in url):
        raise PydanticCustomError("url", "this is not an address to post to", {"hint": _HINT})
    return url


class Notification(Section):
    """One hook: a command to run, or an address to post to."""

    on: Annotated[list[Literal["degraded", "failed", "recovered"]], Field(min_length=1)] = [
        "degraded",
        "failed",
        "recovered",
    ]
    """When to notify. `degraded`: it has answered requests, and a unit is not ready; `failed`: a unit stays down
    because it has died too often; `recovered`: all is well again after one of these."""
    command: Argv | None = None
    """A program and its arguments, one list item for each word; no shell is involved. It receives the event as JSON
    on its standard input, and in `DYNKV_EVENT`, `DYNKV_STATE`, `DYNKV_UNITS` and `DYNKV_MESSAGE`."""
    webhook: Annotated[str, AfterValidator(_check_url)] | None = None
    """An address to post the same JSON to. It is kept only in memory, and only its host is ever shown."""
    webhook_file: Annotated[str, Field(min_length=1)] | None = None
    """A file that contains such an address, read each time."""
    timeout_s: PositiveSeconds = 30.0
    """Seconds until an attempt counts as failed and all its processes are ended."""
    interval_s: Seconds = 10.0
    """Shortest time between two messages in seconds; what happens in between is sent together."""
    retries: Annotated[int, Field(ge=0, le=_RETRIES_MAX)] = 2
    """How many times to retry after a failure; the pause before a retry starts at 1 s and doubles."""

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        given = [it for it in (self.command, self.webhook, self.webhook_file) if it is not None]
        if len(given) != 1:
            # as plain text: the error's input would show all keys
            raise PydanticCustomError("hook", "give one of command, webhook and webhook_file")
        return self

    @property
    def kept_as(self) -> str:
        """The variable in which the supervisor keeps the address, hidden from everyone; empty if there is none."""
        if self.webhook is None:
            return ""
        return f"DYNKV_WEBHOOK_{hashlib.sha256(self.webhook.encode()).hexdigest()[:12].upper()}"


Notifications = Annotated[list[Notification], Field(max_length=_HOOKS_MAX)]
