"""A real one-token completion: the only proof that a deployment serves."""

from __future__ import annotations

import json
from dataclasses import dataclass

import anyio

from dynkv.plan.model import Frontend
from dynkv.probes.attempt import reason_in
from dynkv.probes.http import Response, request
from dynkv.probes.words import in_words

TIMEOUT_S = 180.0
"""The first transfer between two workers on a busy CPU has taken half a minute."""
_NO_SUCH_ENDPOINT = (400, 404, 405, 501)


@dataclass(frozen=True, slots=True)
class Answer:
    """`workers`: ids of those that served it, as Dynamo names them; empty where it does not say."""

    ok: bool
    detail: str
    workers: frozenset[str] = frozenset()


def warm_up_prompt(number: int, tokens: int) -> str:
    """A prompt of at least `tokens` tokens, whatever the tokenizer, unlike that of any other number."""
    return " ".join(str(word) for word in range(number, number + tokens))


async def complete(frontend: Frontend, host: str, prompt: str) -> Answer:
    """Ask the model for one token; a model that only chats is asked through chat instead."""
    common = {"model": frontend.model, "max_tokens": 1, "nvext": {"extra_fields": ["worker_id"]}}
    answer, status = await _post(frontend, host, "/v1/completions", {**common, "prompt": prompt})
    if status in _NO_SUCH_ENDPOINT:
        messages = [{"role": "user", "content": prompt}]
        chat, _ = await _post(frontend, host, "/v1/chat/completions", {**common, "messages": messages})
        return chat if chat.ok else answer
    return answer


async def _post(frontend: Frontend, host: str, path: str, body: dict[str, object]) -> tuple[Answer, int]:
    try:
        with anyio.fail_after(TIMEOUT_S):
            response = await request(host, frontend.port, path, method="POST", body=json.dumps(body).encode())
    except TimeoutError:
        return Answer(False, f"{path} did not answer within {TIMEOUT_S:g} s"), 0
    except OSError as error:
        return Answer(False, f"{path}: {in_words(str(error))}"), 0
    return _read(path, response), response.status


def _read(path: str, response: Response) -> Answer:
    if response.status != 200:
        return Answer(False, reason_in(response.body) or f"{path} answered {response.status}")
    try:
        reply = json.loads(response.body)
        served = bool(reply["choices"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return Answer(False, f"{path} answered 200 with something that is no completion")
    return Answer(served, "answered" if served else f"{path} answered without a choice", _workers(reply))


def _workers(reply: dict[str, object]) -> frozenset[str]:
    """Source: ai-dynamo 1.6.1, `nvext.worker_id` of a reply."""
    nvext = reply.get("nvext")
    ids = nvext.get("worker_id") if isinstance(nvext, dict) else None
    if not isinstance(ids, dict):
        return frozenset()
    named = [value for key, value in ids.items() if key.endswith("worker_id")]
    return frozenset(in_words(f"{value}") for value in named if isinstance(value, int | str))
