"""What a node knows before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from hosts import host, plan

from dynkv.cli.joining import certificates
from dynkv.errors import PreflightRefused
from dynkv.plan.cluster import TLS_VARIABLES

CLUSTER = {"cluster.advertise": "10.0.0.1", "cluster.etcd": ["https://10.0.0.9:2379"]}


def test_dynamo_is_given_what_stands_in_the_files(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.pem" for name in ("etcd_ca", "etcd_cert", "etcd_key")}
    for name, path in files.items():
        path.write_text(f"of {name}")
    made = plan("agg", host(1), {**CLUSTER, **{f"cluster.{name}": str(path) for name, path in files.items()}})
    assert certificates(made) == dict(zip(TLS_VARIABLES, ("of etcd_ca", "of etcd_cert", "of etcd_key"), strict=True))
    files["etcd_key"].unlink()
    with pytest.raises(PreflightRefused, match=r"etcd_key\.pem cannot be read"):
        certificates(made)


def test_without_tls_there_is_nothing_to_read() -> None:
    assert certificates(plan("agg", host(1), CLUSTER)) == {}
    assert certificates(plan("agg", host(1))) == {}
