"""The kinds of events and the states of a unit."""

from __future__ import annotations

from dynkv.supervisor import events, states, status
from dynkv.supervisor.event_kinds import KINDS
from dynkv.supervisor.states import TRANSITIONS, State
from generate.attributes import attributes, fields, members
from generate.markdown import code, sentence, table

HEAD = """# Events

The history of a deployment: every step, with its cause and, if it took time, its duration. `dynkv events` prints it,
`--json` as one object per line. The file is `DYNKV_HOME/NAME/events.jsonl`. The supervisor serves the same over its
[HTTP API](http-api.md).
"""


def page() -> str:
    kinds = [(code(name), sentence(kind.description), _data(kind.data)) for name, kind in KINDS.items()]
    units, deployments = members(states, "State"), members(status, "DeploymentState")
    parts = [
        HEAD,
        "## Fields",
        fields(attributes(events)["Event"]),
        "## Kinds",
        table(("kind", "what has happened", "in `data`"), kinds),
        "## States of a unit",
        "Events of kind `state` report these. No other steps are possible.",
        table(
            ("state", "meaning", "may be followed by"),
            [(code(state), units[state.name], _following(state)) for state in State],
        ),
        "## States of a deployment",
        "The states that `dynkv status` shows.",
        table(("state", "meaning"), [(code(state), deployments[state.name]) for state in status.DeploymentState]),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _data(inside: dict[str, str]) -> str:
    return "; ".join(f"{code(name)}: {what}" for name, what in inside.items())


def _following(state: State) -> str:
    return ", ".join(code(it) for it in State if it in TRANSITIONS[state])
