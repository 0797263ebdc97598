"""Posts its standard input, JSON, to the address in DYNKV_WEBHOOK: a program run by dynkv's own interpreter.

Exits with 0 when the address has accepted it, with 1 when a retry may succeed, with 2 when none will. Never prints the
address, which may be a secret as a whole. Redirections are not followed: they would turn a POST into a GET.
Certificates and proxies come from the environment: SSL_CERT_FILE, HTTPS_PROXY, NO_PROXY.
"""

from __future__ import annotations

import os
import sys
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

_SOON = (408, 425, 429)
"""Status codes that may succeed later. Source: RFC 9110, RFC 8470, RFC 6585."""


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def main() -> int:
    request = Request(os.environ["DYNKV_WEBHOOK"], data=sys.stdin.buffer.read(), method="POST")
    request.add_header("Content-Type", "application/json")
    request.add_header("User-Agent", "dynkv")
    try:
        with build_opener(_Stay).open(request):
            return 0
    except HTTPError as answer:
        sys.stderr.write(f"it answered {answer.code}\n")
        return 1 if answer.code >= 500 or answer.code in _SOON else 2
    except URLError as error:
        sys.stderr.write(f"it cannot be reached: {error.reason}\n")
        return 1
    except (OSError, HTTPException) as error:
        sys.stderr.write(f"it broke off: {type(error).__name__}\n")
        return 1
    except ValueError:
        sys.stderr.write("this is not an address to post to\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
