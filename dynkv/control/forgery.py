"""Requests that a web page could have made somebody's browser send. Pure.

Only its owner can open the socket. But with a TCP forwarder in front of it, for example for Prometheus, a browser can
reach it, and so can every page in the browser. A page cannot remove what its browser adds, nor add what it may not.
Source: WHATWG Fetch, 3.1 (Origin) and 4.5.1 (simple content types); W3C Fetch Metadata, 2.3; RFC 9110, 7.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dynkv.probes.words import in_words

_OWN_HOST = re.compile(rb"(?:localhost|dynkv|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)
_OF_FORMS = (b"text/plain", b"multipart/form-data", b"application/x-www-form-urlencoded")
_READS = ("GET", "HEAD", "OPTIONS")


def forged(method: str, headers: Mapping[bytes, bytes]) -> str:
    """Why the request may come from a web page; empty if it cannot. `headers` by name in lower case."""
    if b"origin" in headers:
        return "it comes from a web page: it has an Origin"
    if headers.get(b"sec-fetch-site", b"none") != b"none":
        return "it comes from a web page: it has a Sec-Fetch-Site"
    if why := strange_host(headers):
        return why
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if method not in _READS and kind in _OF_FORMS:
        return f"a Content-Type of {kind.decode()} is from a form; requests have no body here"
    return ""


def strange_host(headers: Mapping[bytes, bytes]) -> str:
    """Why the request may come from a page whose name was pointed at this host; empty if it cannot."""
    host = headers.get(b"host")  # missing in HTTP/1.0, which no browser uses
    if host is not None and not _OWN_HOST.fullmatch(host):
        return f"the Host is {in_words(host.decode('latin-1'))}, and should be localhost"
    return ""
