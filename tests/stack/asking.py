"""Requests to a deployment, through the `openai` client."""

from __future__ import annotations

import random
from dataclasses import dataclass

import openai

_TIMEOUT_S = 120.0
# whole words of the tiny model's vocabulary: one token each
_WORDS = (
    "the of and to a in that it is was for on are with as they be at one have this from or had by not but what all "
    "were when we there can an your which their said if do will each about how up out them then she many some so"
).split()


@dataclass(frozen=True, slots=True)
class Reply:
    text: str
    prompt_tokens: int
    workers: dict[str, int]
    """Ids by role: `prefill_worker_id` and `decode_worker_id`."""


def client(endpoint: str) -> openai.OpenAI:
    """A client, to be closed or used as a context manager. It never retries a failed request."""
    return openai.OpenAI(base_url=f"{endpoint}/v1", api_key="none", max_retries=0, timeout=_TIMEOUT_S)


def prompt(tokens: int, seed: int) -> str:
    """A prompt of this many tokens, the same for the same seed."""
    chance = random.Random(seed)
    return " ".join(chance.choice(_WORDS) for _ in range(tokens))


def complete(endpoint: str, model: str, text: str, max_tokens: int = 16) -> Reply:
    """A completion at temperature 0."""
    with client(endpoint) as openai_client:
        done = openai_client.completions.create(
            model=model,
            prompt=text,
            max_tokens=max_tokens,
            temperature=0,
            extra_body={"nvext": {"extra_fields": ["worker_id"]}},
        )
    assert done.usage is not None
    nvext = (done.model_extra or {}).get("nvext") or {}
    return Reply(done.choices[0].text, done.usage.prompt_tokens, nvext.get("worker_id") or {})


def chat(endpoint: str, model: str, text: str, max_tokens: int = 8) -> str:
    with client(endpoint) as openai_client:
        done = openai_client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": text}], max_tokens=max_tokens, temperature=0
        )
    return done.choices[0].message.content or ""


def chat_in_pieces(endpoint: str, model: str, text: str, max_tokens: int = 8) -> list[str]:
    """The pieces of a streamed answer, without empty ones."""
    with (
        client(endpoint) as openai_client,
        openai_client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": text}],
            max_tokens=max_tokens,
            temperature=0,
            stream=True,
        ) as stream,
    ):
        pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
    return [piece for piece in pieces if piece]
