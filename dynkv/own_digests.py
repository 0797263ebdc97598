"""Import this first in a long-running program: hashlib uses Python's own algorithms instead of OpenSSL's.

Otherwise hashlib imports OpenSSL, which costs a process 3 MB (OpenSSL 3.0).
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

_SHA2 = ("_sha2",) if sys.version_info >= (3, 12) else ("_sha256", "_sha512")
ALGORITHMS = ("_md5", "_sha1", *_SHA2, "_sha3", "_blake2")
"""Python's own modules for digests; some builds of Python lack them. Source: CPython's configure,
--with-builtin-hashlib-hashes."""


def _use() -> None:
    if "_hashlib" in sys.modules or not all(map(find_spec, ALGORITHMS)):
        return
    sys.modules["_hashlib"] = None  # type: ignore[assignment]  # importing it fails, which hashlib can live with
    try:
        import_module("hashlib")
    finally:
        del sys.modules["_hashlib"]


_use()
