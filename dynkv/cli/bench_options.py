"""Options of `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dynkv.cli.options import seconds

AgainstOption = Annotated[
    list[str] | None,
    typer.Option("--against", metavar="'PROFILE OPTIONS'", help="Another deployment, as `up` takes it. Repeatable."),
]
SweepOption = Annotated[
    list[str] | None,
    typer.Option("--sweep", metavar="KEY=A,B", help="The profile with each of these values. Repeatable."),
]
WorkloadOption = Annotated[Literal["chat", "rag", "prefix", "random"], typer.Option(help="What users do.")]
TraceOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Recorded traffic instead, as Mooncake's: JSON, a request a line.")
]
UntimedOption = Annotated[
    bool, typer.Option("--untimed", help="A trace's requests as fast as --concurrency lets them, not at their times.")
]
UsersOption = Annotated[int, typer.Option(min=1, help="Chats; documents of rag; otherwise requests.")]
TurnsOption = Annotated[int, typer.Option(min=1, help="Of a chat; questions about a document of rag.")]
ContextOption = Annotated[int, typer.Option(min=1, metavar="TOKENS", help="A chat's history, a document, or a prompt.")]
SharedOption = Annotated[int, typer.Option(min=1, metavar="TOKENS", help="A system prompt that all have.")]
QuestionOption = Annotated[int, typer.Option(min=1, metavar="TOKENS", help="What is new in a turn.")]
OutputOption = Annotated[int, typer.Option(min=1, metavar="TOKENS", help="An answer's length.")]
ConcurrencyOption = Annotated[int, typer.Option(min=1, help="Requests at a time.")]
PressureOption = Annotated[
    str | None, typer.Option(metavar="0.5,1,2", help="Users by multiples of the GPU's KV cache, for chat and rag.")
]
GoodputOption = Annotated[
    str | None, typer.Option(metavar="ttft:2000,itl:25", help="Limits that a good request keeps, in ms.")
]
ToolOption = Annotated[Literal["vllm", "lmcache", "aiperf"], typer.Option(help="Whose load generator.")]
RateOption = Annotated[
    float, typer.Option(min=0.001, metavar="PER_SECOND", help="Of requests, of chats by --tool lmcache.")
]
RoundsOption = Annotated[int, typer.Option(min=1, help="How often each is brought up and measured.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Other requests of the same kind.")]
TimeoutOption = Annotated[float | None, typer.Option(parser=seconds, metavar="SECONDS", help="For one to come up.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Rounds and logs; one that is there is continued.")
]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="The answer with its figures drawn; needs matplotlib.")
]
WriteOption = Annotated[Path | None, typer.Option("--write", metavar="FILE", help="The profile to use, as YAML.")]
PriceOption = Annotated[
    float | None, typer.Option("--price", min=0.0, help="Of the machine an hour, to tell what a million tokens cost.")
]
