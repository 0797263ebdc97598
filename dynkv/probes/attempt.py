"""One attempt of a probe. A failure is a value with its reason in words, never an exception."""

from __future__ import annotations

import errno
import json
from urllib.parse import unquote

import anyio
from msgspec import Struct

from dynkv.plan.model import HttpGet, Probe
from dynkv.probes.http import Response, request
from dynkv.probes.scrape import Figures
from dynkv.probes.words import in_words

_NONE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Attempt(Struct, frozen=True):
    ok: bool
    latency_s: float
    detail: str
    is_known: bool = True
    """False if it could not be tried: that says nothing of the unit, like Kubernetes' `Unknown`."""
    is_heard: bool = True
    """False if nothing accepted the connection."""


async def attempt(probe: Probe, figures: Figures | None = None) -> Attempt:
    """Try all checks of a probe in turn, up to the first that fails; each has the probe's timeout.

    What others need too is requested through `figures`, once for all.
    """
    began = anyio.current_time()
    for check in probe.checks:
        try:
            failure = await _check(check, probe.timeout_seconds, figures)
        except _NotTried as error:
            return Attempt(False, anyio.current_time() - began, f"could not be tried: {error}", is_known=False)
        except _NotHeard as error:
            return Attempt(False, anyio.current_time() - began, f"{error}", is_heard=False)
        if failure is not None:
            return Attempt(False, anyio.current_time() - began, failure)
    return Attempt(True, anyio.current_time() - began, "ok")


class _NotTried(Exception):
    """This process has no socket left for the request."""


class _NotHeard(Exception):
    """Nothing accepted the connection."""


async def _check(check: HttpGet, timeout_s: float, figures: Figures | None) -> str | None:
    """None if the check passes, else why not. Raises _NotTried, _NotHeard."""
    name = unquote(check.path)
    try:
        with anyio.fail_after(timeout_s):
            response = await _response(check, figures)
            if response.status == 404 and check.or_lists_model:
                listed = await request(check.host, check.port, "/v1/models")
                if check.or_lists_model in model_ids(listed.body):
                    return None
    except TimeoutError:
        return f"{name} did not answer within {timeout_s:g} s"
    except OSError as error:
        if error.errno in _NONE_LEFT:
            raise _NotTried(error.strerror) from error
        if isinstance(error, ConnectionRefusedError) or "connection attempts failed" in str(error):
            raise _NotHeard(f"{name}: nothing listens yet") from error
        return f"{name}: {in_words(str(error)) or type(error).__name__}"
    if 200 <= response.status < 400:
        return None
    return reason_in(response.body) or f"{name} answered {response.status}"


async def _response(check: HttpGet, figures: Figures | None) -> Response:
    if figures is not None and figures.wants(check):
        return await figures.ask(check)
    return await request(check.host, check.port, check.path, read_body=False)


def model_ids(body: bytes) -> list[str]:
    """The ids in an OpenAI list of models; none for anything else."""
    try:
        return [str(model["id"]) for model in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def reason_in(body: bytes) -> str | None:
    """The reason in a JSON body, in words, such as Dynamo's `/ready` gives ("missing worker types: prefill")."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(given, dict) and isinstance(given.get("namespaces"), dict):
        reasons = [space.get("reason") for space in given["namespaces"].values() if isinstance(space, dict)]
        given = {"reason": "; ".join(reason for reason in reasons if isinstance(reason, str)) or given.get("reason")}
    while isinstance(given, dict):
        given = next((given[key] for key in ("reason", "message", "detail", "error") if given.get(key)), None)
    return in_words(given) or None if isinstance(given, str) else None
