"""Who is told when the deployment is not well, or is well again."""

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
    """The URL itself is in no message: it may be a secret as a whole."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or any(not "!" <= character <= "~" for character in url):
        raise PydanticCustomError("url", "this is no address that can be posted to", {"hint": _HINT})
    return url


class Notification(Section):
    """One hook: a command that is run, or an address that is posted to."""

    on: Annotated[list[Literal["degraded", "failed", "recovered"]], Field(min_length=1)] = [
        "degraded",
        "failed",
        "recovered",
    ]
    """When. `degraded`: it has answered requests, and a unit is not ready; `failed`: a unit stays down, since it has
    died too often; `recovered`: all is well again after one of these."""
    command: Argv | None = None
    """A program with its arguments, one list item for each word; no shell reads them. It finds what has happened as
    JSON on its standard input, and in `DYNKV_EVENT`, `DYNKV_STATE`, `DYNKV_UNITS` and `DYNKV_MESSAGE`."""
    webhook: Annotated[str, AfterValidator(_check_url)] | None = None
    """An address, to which the same JSON is posted. It is kept in memory alone: only its host is ever shown."""
    webhook_file: Annotated[str, Field(min_length=1)] | None = None
    """A file that holds such an address, read each time."""
    timeout_s: PositiveSeconds = 30.0
    """After which a try counts as failed, and all its processes are ended."""
    interval_s: Seconds = 10.0
    """From one message to the next, at the least; what happens in between is told together then."""
    retries: Annotated[int, Field(ge=0, le=_RETRIES_MAX)] = 2
    """How often it is tried again when it has failed; the pause before that doubles from 1 s."""

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        given = [it for it in (self.command, self.webhook, self.webhook_file) if it is not None]
        if len(given) != 1:
            # as text alone: the error's input would show all keys
            raise PydanticCustomError("hook", "give one of command, webhook and webhook_file")
        return self

    @property
    def kept_as(self) -> str:
        """The variable in which the supervisor has the address, and from which nobody learns it; empty without one."""
        if self.webhook is None:
            return ""
        return f"DYNKV_WEBHOOK_{hashlib.sha256(self.webhook.encode()).hexdigest()[:12].upper()}"


Notifications = Annotated[list[Notification], Field(max_length=_HOOKS_MAX)]
