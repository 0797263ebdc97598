"""`events`: what happened, why, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import typer

from dynkv.cli import view
from dynkv.cli.deployments import Deployment, find
from dynkv.cli.log_files import whole_lines
from dynkv.cli.options import JsonOption, NameArgument, SinceOption
from dynkv.cli.since import moment
from dynkv.documents import encoded
from dynkv.errors import DynkvError
from dynkv.supervisor.events import Event, decoded
from dynkv.supervisor.moments import seconds_of


def events(
    name: NameArgument = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Follow new events.")] = False,
    since: SinceOption = None,
    unit: Annotated[list[str] | None, typer.Option("--unit", help="Only this unit. Repeatable.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Only this kind, such as state or exit. Repeatable.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a deployment's history: what happened, why, and how long it took."""
    begin = None if since is None else moment(since, datetime.now().astimezone()).timestamp()
    deployment = find(name, past=True)
    for event in _events(deployment, follow):
        if begin is not None and (seconds_of(event.at) or begin) < begin:
            continue
        if (unit and event.unit not in unit) or (kind and event.kind not in kind):
            continue
        if as_json:
            print(encoded(event).decode(), flush=True)  # noqa: T201 (one object a line)
        else:
            view.show_event(event)


def _events(deployment: Deployment, follow: bool) -> Iterator[Event]:
    if follow and deployment.is_supervised:
        yield from deployment.client().events()
        return
    try:
        for line in whole_lines(deployment.place.events):
            if (event := decoded(line)) is not None:
                yield event
    except OSError as error:
        raise DynkvError(
            f"cannot read the events: {error.strerror}",
            where=str(deployment.place.events),
            hint="they exist once the deployment has started",
        ) from None
