"""Requests that a web page could make a browser send, through a TCP forwarder in front of the socket."""

from __future__ import annotations

import pytest

from dynkv.control.exchange import request
from dynkv.control.forgery import forged
from dynkv.control.routes import ROUTES, Route

OWN = ["dynkv", "localhost", "localhost:9100", "127.0.0.1:9100", "127.0.0.1", "[::1]:80", "LocalHost"]
FOREIGN = [
    "evil.example",
    "evil.example:9100",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1@evil.example",
    "x",
    "",
    "0.0.0.0",
    "10.0.0.1",
    "localhost:99999999",
    "dynkv\n",
]


@pytest.mark.parametrize("host", OWN)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_asked_on_this_host(method: str, host: str) -> None:
    assert forged(method, {b"host": host.encode(), b"user-agent": b"curl/8", b"accept": b"*/*"}) == ""


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_a_name_that_somebody_has_let_lead_here(route: Route, host: str) -> None:
    """DNS rebinding: for the browser, the page has the same origin, so that it adds no other header."""
    assert "the Host is" in forged(route.method, {b"host": host.encode()})


@pytest.mark.parametrize(
    "headers",
    [
        {b"origin": b"https://evil.example"},
        {b"origin": b"null"},
        {b"origin": b"http://localhost:9100"},
        {b"sec-fetch-site": b"cross-site"},
        {b"sec-fetch-site": b"same-site"},
        {b"content-type": b"text/plain"},
        {b"content-type": b"Text/Plain; charset=utf-8"},
        {b"content-type": b"application/x-www-form-urlencoded"},
        {b"content-type": b"multipart/form-data; boundary=x"},
    ],
)
def test_what_a_browser_adds(headers: dict[bytes, bytes]) -> None:
    assert forged("POST", {b"host": b"localhost:9100", **headers})


def test_what_no_browser_sends() -> None:
    assert forged("POST", {b"host": b"localhost", b"content-type": b"application/json"}) == ""
    assert forged("GET", {b"host": b"localhost", b"sec-fetch-site": b"none"}) == "", "typed by a person"
    assert b"Host" not in request("GET", "/v1/status"), "as dynkv's own client asks, in HTTP/1.0"
    assert forged("GET", {}) == ""
