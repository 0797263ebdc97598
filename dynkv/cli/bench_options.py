"""Options of `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dynkv.cli.options import seconds

AgainstOption = Annotated[
    list[str] | None,
    typer.Option("--against", metavar="'PROFILE OPTIONS'", help="Another deployment, as for `up`. Repeatable."),
]
SweepOption = Annotated[
    list[str] | None,
    typer.Option("--sweep", metavar="KEY=A,B", help="The profile with each of these values. Repeatable."),
]
WorkloadOption = Annotated[Literal["chat", "rag", "prefix", "random"], typer.Option(help="What users do.")]
TraceOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Replay recorded traffic: JSON lines, as Mooncake's.")
]
UntimedOption = Annotated[
    bool, typer.Option("--untimed", help="Ignore the trace's times: send as --concurrency allows.")
]
UsersOption = Annotated[int, typer.Option(min=1, help="Number of chats, of documents for rag, else of requests.")]
TurnsOption = Annotated[int, typer.Option(min=1, help="Turns of a chat; questions about a document for rag.")]
ContextOption = Annotated[
    int, typer.Option(min=1, metavar="TOKENS", help="Length of a chat's history, a document or a prompt.")
]
SharedOption = Annotated[int, typer.Option(min=1, metavar="TOKENS", help="Length of the system prompt that all share.")]
QuestionOption = Annotated[int, typer.Option(min=1, metavar="TOKENS", help="Length of what is new in each turn.")]
OutputOption = Annotated[int, typer.Option(min=1, metavar="TOKENS", help="Length of an answer.")]
ConcurrencyOption = Annotated[int, typer.Option(min=1, help="Requests in flight.")]
PressureOption = Annotated[
    str | None, typer.Option(metavar="0.5,1,2", help="Working set in multiples of the GPU's KV cache (chat, rag).")
]
GoodputOption = Annotated[
    str | None, typer.Option(metavar="ttft:2000,itl:25", help="Limits in ms that a request must meet to count as good.")
]
ToolOption = Annotated[Literal["vllm", "lmcache", "aiperf"], typer.Option(help="The load generator.")]
RateOption = Annotated[
    float, typer.Option(min=0.001, metavar="PER_SECOND", help="Rate of requests; of chats with --tool lmcache.")
]
RoundsOption = Annotated[int, typer.Option(min=1, help="How many times each is brought up and measured.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Another seed gives other requests of the same kind.")]
TimeoutOption = Annotated[
    float | None, typer.Option(parser=seconds, metavar="SECONDS", help="How long one may take to come up.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Directory for rounds and logs; an existing run is continued."),
]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write the answer with charts; needs matplotlib.")
]
WriteOption = Annotated[Path | None, typer.Option("--write", metavar="FILE", help="Write the best profile, as YAML.")]
PriceOption = Annotated[
    float | None,
    typer.Option("--price", min=0.0, help="The machine's price per hour, for the cost of a million tokens."),
]
