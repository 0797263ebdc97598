"""A real inference request, as small as possible: the only proof that a deployment serves."""

from __future__ import annotations

import json
from collections.abc import Mapping

import anyio
from msgspec import Struct
from msgspec.structs import replace

from dynkv.plan.serving import Frontend, Task
from dynkv.probes.attempt import reason_in
from dynkv.probes.http import Response, request
from dynkv.probes.words import in_words

TIMEOUT_S = 180.0
"""Timeout in seconds: the first transfer between two workers on a busy CPU has taken half a minute."""
_NO_SUCH_ENDPOINT = (400, 404, 405, 501)


class Answer(Struct, frozen=True):
    """An answer. `workers`: Dynamo's ids of those that served it; empty if the answer does not say."""

    ok: bool
    detail: str
    workers: frozenset[str] = frozenset()
    task: Task = Task.AUTO
    """The task that the answer, if ok, is for."""


class _Endpoint(Struct, frozen=True):
    """An endpoint of the frontend; one that does not serve the model answers 404 (ai-dynamo 1.6.1)."""

    task: Task
    path: str
    result: str
    """The member of a reply with the list that must not be empty."""


_COMPLETIONS = _Endpoint(Task.GENERATE, "/v1/completions", "choices")
_CHAT = _Endpoint(Task.GENERATE, "/v1/chat/completions", "choices")
_EMBEDDINGS = _Endpoint(Task.EMBED, "/v1/embeddings", "data")
_CLASSIFY = _Endpoint(Task.CLASSIFY, "/v1/classify", "data")
_ENDPOINTS = (_COMPLETIONS, _CHAT, _EMBEDDINGS, _CLASSIFY)


def warm_up_prompt(number: int, tokens: int) -> str:
    """A prompt of at least `tokens` tokens, whatever the tokenizer, different for each number."""
    return " ".join(str(word) for word in range(number, number + tokens))


async def infer(frontend: Frontend, host: str, prompt: str) -> Answer:
    """Request as little as possible of the model: one token, one embedding, one class.

    If the task is unknown, each endpoint is tried in turn until one serves the model. For a realtime worker the
    frontend's readiness is the only proof there is: it opens a session for any model (ai-dynamo 1.6.1).
    """
    if frontend.task is Task.REALTIME:
        return Answer(True, "registered", task=Task.REALTIME)
    first: Answer | None = None
    for endpoint in _ENDPOINTS:
        if frontend.task not in (Task.AUTO, endpoint.task):
            continue
        answer, status = await _post(frontend, host, endpoint, _body(endpoint, frontend.model, prompt))
        if status not in _NO_SUCH_ENDPOINT:
            return replace(answer, task=endpoint.task) if answer.ok else answer
        first = first or answer
    assert first is not None, "each task has an endpoint"
    return first


def _body(endpoint: _Endpoint, model: str, prompt: str) -> Mapping[str, object]:
    if endpoint.task is not Task.GENERATE:
        return {"model": model, "input": prompt}
    asked = {"messages": [{"role": "user", "content": prompt}]} if endpoint is _CHAT else {"prompt": prompt}
    return {"model": model, "max_tokens": 1, "nvext": {"extra_fields": ["worker_id"]}, **asked}


async def _post(frontend: Frontend, host: str, endpoint: _Endpoint, body: Mapping[str, object]) -> tuple[Answer, int]:
    path = endpoint.path
    try:
        with anyio.fail_after(TIMEOUT_S):
            response = await request(host, frontend.port, path, method="POST", body=json.dumps(body).encode())
    except TimeoutError:
        return Answer(False, f"{path} did not answer within {TIMEOUT_S:g} s"), 0
    except OSError as error:
        return Answer(False, f"{path}: {in_words(str(error))}"), 0
    return _read(endpoint, response), response.status


def _read(endpoint: _Endpoint, response: Response) -> Answer:
    path = endpoint.path
    if response.status != 200:
        return Answer(False, reason_in(response.body) or f"{path} answered {response.status}")
    try:
        reply = json.loads(response.body)
        served = bool(reply[endpoint.result])
    except (ValueError, KeyError, TypeError, RecursionError):
        return Answer(False, f"{path} answered 200, but not with a valid reply")
    return Answer(served, "answered" if served else f"{path} answered with nothing", _workers(reply))


def _workers(reply: dict[str, object]) -> frozenset[str]:
    """The workers. Source: ai-dynamo 1.6.1, `nvext.worker_id` of a reply."""
    nvext = reply.get("nvext")
    ids = nvext.get("worker_id") if isinstance(nvext, dict) else None
    if not isinstance(ids, dict):
        return frozenset()
    named = [value for key, value in ids.items() if key.endswith("worker_id")]
    return frozenset(in_words(f"{value}") for value in named if isinstance(value, int | str))
