"""The route that a request means."""

from __future__ import annotations

import inspect
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynkv.control.answers import Answers
from dynkv.control.routes import ROUTES, Route
from dynkv.control.routing import Found, Refused, find

METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "get", "x")
NAMES = re.compile(r"\{(\w+)\}")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_found_with_its_names_and_refuses_other_methods(route: Route) -> None:
    names = {name: f"a {name}/ü" for name in NAMES.findall(route.path)}
    path = NAMES.sub(lambda name: quote(names[name[1]], safe=""), route.path)
    assert find(ROUTES, route.method, path) == Found(route, names)
    allowed = {it.method for it in ROUTES if it.path == route.path}
    for method in {*METHODS} - allowed:
        refused = find(ROUTES, method, path)
        assert isinstance(refused, Refused)
        assert (refused.status, set(refused.allow)) == (405, allowed)


def test_every_route_has_a_handler_of_its_own_and_every_handler_a_route() -> None:
    handlers = [route.handler for route in ROUTES]
    public = {name for name, _ in inspect.getmembers(Answers, inspect.isfunction) if not name.startswith("_")}
    assert sorted(handler.__name__ for handler in handlers) == sorted(public)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("//", 404),
        ("//healthz", 404),
        ("/healthz/", 404),
        ("/healthz//", 404),
        ("/HEALTHZ", 404),
        ("/v1/units//restart", 404),
        ("/v1/units/restart", 404),
        ("/v1/units/a/explode", 404),
        ("/v1/units/a/b/restart", 404),
        ("/v1/units/../status", 404),
        ("/v1%2Fstatus", 404),
        ("/" + "a" * 100_000, 404),
        ("/" * 100_000, 404),
        ("", 400),
        ("healthz", 400),
        ("*", 400),
        ("http://dynkv/healthz", 400),
        ("/healthz%", 400),
        ("/%zz", 400),
        ("/%2", 400),
        ("/v1/units/%ff/restart", 400),
        ("/v1/units/%ed%a0%80/restart", 400),
    ],
)
def test_what_is_no_route(path: str, status: int) -> None:
    for method in ("GET", "POST"):
        refused = find(ROUTES, method, path)
        assert isinstance(refused, Refused)
        assert (refused.status, refused.allow) == (status, ())
        assert len(refused.why) < 300


@pytest.mark.parametrize(
    ("path", "name"), [("a%2Fb", "a/b"), ("%61", "a"), ("%7Bname%7D", "{name}"), ("%25", "%"), ("a+b", "a+b")]
)
def test_a_name_is_decoded_once_and_stays_one_segment(path: str, name: str) -> None:
    found = find(ROUTES, "POST", f"/v1/units/{path}/restart")
    assert isinstance(found, Found)
    assert found.named == {"name": name}


PIECES = st.sampled_from(["/", "v1", "units", "status", "restart", "%2F", "%", "%zz", "..", "{name}", "?", "\x00"])


@given(st.sampled_from(METHODS) | st.text(), st.text() | st.lists(PIECES | st.text(max_size=3)).map("".join))
def test_whatever_is_asked_for_there_is_an_answer(method: str, path: str) -> None:
    found = find(ROUTES, method, path)
    assert isinstance(found, Found) or 400 <= found.status < 500
