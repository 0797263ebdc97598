"""What the stack's programs report about each request, and how they write their logs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dynkv.profile.fields import Section


class Observability(Section):
    """Traces for a collector, and the format of logs."""

    otlp: Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:\[\]_-]+/?$")] | None = None
    """Where a collector accepts OTLP over gRPC, such as `http://127.0.0.1:4317`: frontend, workers and sidecar send
    their traces there, each under its own name, `DEPLOYMENT-UNIT`. Dynamo's programs also send their logs."""
    logs: Literal["text", "json"] = "text"
    """How Dynamo's programs write their logs: lines for people, or one JSON object per line, with the ids of request
    and trace. `dynkv logs` shows both as text."""
