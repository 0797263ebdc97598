"""Certificates for the tests' servers."""

from __future__ import annotations

import subprocess
from pathlib import Path


def certificate(directory: Path, name: str, *, by: str | None = None) -> tuple[str, str]:
    """A certificate for 127.0.0.1 with its key, self-signed or signed by another one."""
    key, cert = directory / f"{name}.key", directory / f"{name}.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    signed = [] if by is None else ["-CA", str(directory / f"{by}.pem"), "-CAkey", str(directory / f"{by}.key")]
    # Python 3.13 requires a CA to say that it may sign
    uses = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    done = subprocess.run([*words, *uses, *signed, "-keyout", str(key), "-out", str(cert)], capture_output=True)
    assert done.returncode == 0, done.stderr
    return str(cert), str(key)
