"""One streamed completion, and whether it was complete."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass

TOKENS = 400
"""At the mocker's own speed they take more than a second."""


@dataclass(frozen=True)
class Stream:
    tokens: int
    reason: str | None
    """Why it ended, according to the frontend; None if it was cut."""

    @property
    def is_whole(self) -> bool:
        return (self.tokens, self.reason) == (TOKENS, "length")


def stream(port: int, number: int, model: str = "tiny") -> Stream:
    prompt = " ".join(f"{number} {word}" for word in range(40))
    asked = {"model": model, "prompt": prompt, "max_tokens": TOKENS, "stream": True, "ignore_eos": True}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    tokens, reason = 0, None
    try:
        connection.request("POST", "/v1/completions", json.dumps(asked), {"Content-Type": "application/json"})
        for line in connection.getresponse():
            if line.startswith(b"data: {"):
                (choice,) = json.loads(line[6:])["choices"]
                tokens, reason = tokens + bool(choice.get("text")), choice.get("finish_reason") or reason
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return Stream(tokens, None)
    finally:
        connection.close()
    return Stream(tokens, reason)
