"""Posts its standard input, JSON, to the address in DYNKV_WEBHOOK: a program run by dynkv's own interpreter.

Exits with 0 when the address has accepted it, with 1 when a retry may succeed, with 2 when none will. Never prints the
address, which may be a secret as a whole. Redirections are not followed: they would turn a POST into a GET.
Certificates and proxies come from the environment: SSL_CERT_FILE, HTTPS_PROXY, NO_PROXY. It has no time limit: the
supervisor ends it.
"""

from __future__ import annotations

import base64
import os
import sys
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

_SOON = (408, 425, 429)
"""Status codes that may succeed later. Source: RFC 9110, RFC 8470, RFC 6585."""


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def main() -> int:
    try:
        return _post(_request(os.environ["DYNKV_WEBHOOK"]))
    except ValueError:  # also of names that no resolver takes
        sys.stderr.write("this is not an address to post to: http://HOST/PATH or https://HOST/PATH\n")
        return 2


def _post(request: Request) -> int:
    try:
        with build_opener(_Stay).open(request, sys.stdin.buffer.read()):
            return 0
    except HTTPError as answer:
        sys.stderr.write(f"it answered {answer.code}\n")
        return 1 if answer.code >= 500 or answer.code in _SOON else 2
    except URLError as error:
        return _unreachable(error.reason)
    except (OSError, HTTPException) as error:
        sys.stderr.write(f"it broke off: {type(error).__name__}\n")
        return 1


def _request(address: str) -> Request:
    """A POST to the address; a user's name and password in it become a header. Raises ValueError."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError
    if any(not "!" <= character <= "~" for character in address):
        raise ValueError
    user, is_given, host = parts.netloc.rpartition("@")
    request = Request(urlunsplit(parts._replace(netloc=host)), method="POST")
    request.add_header("Content-Type", "application/json")
    request.add_header("User-Agent", "dynkv")
    if is_given:
        request.add_header("Authorization", f"Basic {base64.b64encode(unquote(user).encode()).decode()}")
    return request


def _unreachable(reason: object) -> int:
    """Report why there was no connection; a certificate is the same at a retry."""
    if why := getattr(reason, "verify_message", ""):
        sys.stderr.write(f"its certificate is not trusted: {why} (SSL_CERT_FILE names a file of the CAs to trust)\n")
        return 2
    sys.stderr.write(f"it cannot be reached: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
