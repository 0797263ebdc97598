"""Which LoRA adapters a worker has loaded, and how to make it load others."""

from __future__ import annotations

import json
from collections.abc import Collection

import anyio

from dynkv.plan.serving import Lora
from dynkv.probes.attempt import reason_in
from dynkv.probes.http import request
from dynkv.probes.words import in_words

_PATH = "/v1/loras"
_TIMEOUT_S = 5.0
LOAD_TIMEOUT_S = 600.0
"""Timeout in seconds for one adapter, which may have to be downloaded; the same as vLLM's own limit in Dynamo."""


async def missing(at: tuple[str, int], loras: Collection[Lora]) -> dict[Lora, str]:
    """Adapters that the worker has not loaded; with the reason if the worker did not answer, else an empty one."""
    try:
        with anyio.fail_after(_TIMEOUT_S):
            response = await request(*at, _PATH)
        listed = json.loads(response.body)["loras"]
        loaded = {*map(str, listed)} if response.status == 200 else set()
    except (TimeoutError, OSError) as error:
        return dict.fromkeys(loras, f"{_PATH}: {in_words(str(error)) or 'no answer'}")
    except (ValueError, KeyError, TypeError, RecursionError):
        return dict.fromkeys(loras, reason_in(response.body) or f"{_PATH} answered {response.status}")
    return {lora: "" for lora in loras if lora.name not in loaded}


async def load(at: tuple[str, int], lora: Lora) -> str:
    """Load an adapter; returns why that failed, empty if it succeeded."""
    body = json.dumps({"lora_name": lora.name, "source": {"uri": lora.uri}}).encode()
    try:
        with anyio.fail_after(LOAD_TIMEOUT_S):
            response = await request(*at, _PATH, method="POST", body=body)
    except TimeoutError:
        return f"not loaded within {LOAD_TIMEOUT_S:g} s"
    except OSError as error:
        return in_words(str(error)) or "no answer"
    return "" if response.status == 200 else reason_in(response.body) or f"{_PATH} answered {response.status}"
