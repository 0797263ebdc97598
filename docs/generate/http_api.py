"""The control API: its routes, and the status document."""

from __future__ import annotations

from dynkv.cluster import status as cluster
from dynkv.control.routes import ROUTES, Route
from dynkv.supervisor import status
from generate.attributes import attributes, docstring, fields
from generate.markdown import code, table

HEAD = """# HTTP API

Each deployment's supervisor serves HTTP on a Unix socket that only you can open: `DYNKV_HOME/NAME/control.sock`. If
that path is too long to connect to, `socket` in the deployment's `journal.json` is a short one.

```text
curl --unix-socket ~/.local/state/dynkv/agg/control.sock http://dynkv/v1/status
curl --unix-socket ~/.local/state/dynkv/agg/control.sock -X POST http://dynkv/v1/units/worker-0/restart
curl --unix-socket ~/.local/state/dynkv/agg/control.sock -N http://dynkv/v1/events
```

A request's body is ignored. 202 means that the request was accepted; the events show the result. An error is
`{"error": "…"}`, in words. A path that is not in the table gets 404, a method that its path does not support 405 with
`Allow`, and an invalid path 400. Do not forward the socket to a TCP port, which does not authenticate anyone. Requests
that a web page could make a browser send get 403 in any case: with `Origin` or `Sec-Fetch-Site`, for a `Host` other
than `localhost`, `dynkv` or a loopback address, or with a form's `Content-Type`; so do another user's processes. Of too
many connections, those without a request are closed first. A name in a path may be percent-encoded.
"""


def page() -> str:
    parts = [HEAD, "## Routes", table(("route", "answer", "what it does"), [_row(route) for route in ROUTES])]
    parts.append("## The status document")
    classes = attributes(status)
    parts.append(fields(classes["DeploymentStatus"]))
    inner = {name: getattr(status, name) for name in _INNER} | {name: getattr(cluster, name) for name in _OF_A_CLUSTER}
    classes |= attributes(cluster)
    for name, it in inner.items():
        parts += [f"### {name}", docstring(it), fields(classes[name])]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


_INNER = (
    *("UnitStatus", "ProbeStatus", "LastExit", "LoraStatus"),
    *("SupervisorStatus", "StandbyStatus", "GpuStatus"),
)
_OF_A_CLUSTER = ("ClusterStatus", "PeerStatus")


def _row(route: Route) -> tuple[str, str, str]:
    answers = [f"{route.status}: {route.answer}", *(f"{status}: {when}" for status, when in route.errors)]
    return code(f"{route.method} {route.path}"), "<br>".join(answers), route.description
