"""The files that depend on the deployments: Prometheus' configuration, and how it and Grafana start. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable

from dynkv.plan.model import Plan
from dynkv.plan.serving import local_address

PROMETHEUS_IMAGE = "prom/prometheus:v3.5.0"
GRAFANA_IMAGE = "grafana/grafana:12.1.1"
PROMETHEUS_PORT, GRAFANA_PORT = 9090, 3000
_PROMETHEUS = """\
# Written by `dynkv observe`: what Prometheus scrapes, and how often.
global:
  scrape_interval: 15s
  evaluation_interval: 15s
rule_files:
  - rules.yml
scrape_configs:
  - job_name: dynkv
    static_configs:
{targets}
  # To scrape every unit separately instead, remove the job above:
  #
  # - job_name: dynkv-units
  #   http_sd_configs:
{discovery}
"""
_TARGET = """\
      # {names}
      - targets: [{address}]"""
_COMPOSE = """\
# Written by `dynkv observe`: Prometheus on port {prometheus_port} and Grafana on port {grafana_port}, on loopback.
# docker compose up -d, then http://127.0.0.1:{grafana_port}/d/dynkv-deployment
services:
  prometheus:
    image: {prometheus}
    network_mode: host  # dynkv listens on loopback
    command:
      - --config.file=/etc/prometheus/prometheus.yml
      - --storage.tsdb.path=/prometheus
      - --web.listen-address=127.0.0.1:{prometheus_port}
    volumes:  # z: readable on hosts with SELinux
      - ./prometheus.yml:/etc/prometheus/prometheus.yml:ro,z
      - ./rules.yml:/etc/prometheus/rules.yml:ro,z
      - prometheus:/prometheus
    restart: unless-stopped
  grafana:
    image: {grafana}
    network_mode: host
    environment:
      GF_SERVER_HTTP_ADDR: 127.0.0.1
      GF_SERVER_HTTP_PORT: "{grafana_port}"
      GF_AUTH_ANONYMOUS_ENABLED: "true"  # anyone on this host may look
      GF_AUTH_ANONYMOUS_ORG_ROLE: Viewer
      GF_ANALYTICS_REPORTING_ENABLED: "false"
      GF_ANALYTICS_CHECK_FOR_UPDATES: "false"
    volumes:
      - ./grafana/provisioning:/etc/grafana/provisioning:ro,z
      - ./grafana/dashboards:/var/lib/grafana/dashboards:ro,z
      - grafana:/var/lib/grafana
    restart: unless-stopped
volumes:
  prometheus:
  grafana:
"""
_SOURCE = """\
apiVersion: 1
datasources:
  - name: Prometheus
    uid: prometheus
    type: prometheus
    access: proxy
    url: http://127.0.0.1:{port}
    isDefault: true
"""
_PROVIDER = """\
apiVersion: 1
providers:
  - name: dynkv
    type: file
    options:
      path: /var/lib/grafana/dashboards
"""


def documents(plans: Iterable[Plan]) -> dict[str, str]:
    """Files by path below the directory, for the plans whose metrics are served."""
    watched = [(plan.name, local_address(plan.metrics.host, plan.metrics.port)) for plan in plans if plan.metrics]
    return {
        "prometheus.yml": _prometheus(watched),
        "compose.yaml": _COMPOSE.format(
            prometheus=PROMETHEUS_IMAGE,
            grafana=GRAFANA_IMAGE,
            prometheus_port=PROMETHEUS_PORT,
            grafana_port=GRAFANA_PORT,
        ),
        "grafana/provisioning/datasources/prometheus.yaml": _SOURCE.format(port=PROMETHEUS_PORT),
        "grafana/provisioning/dashboards/dynkv.yaml": _PROVIDER,
    }


def _prometheus(watched: list[tuple[str, str]]) -> str:
    """The configuration; names and addresses are quoted as JSON, which is valid YAML."""
    targets = [_TARGET.format(names=name, address=json.dumps(address)) for name, address in watched]
    discovery = [f"  #     - url: http://{address}/sd" for _, address in watched]
    return _PROMETHEUS.format(targets="\n".join(targets), discovery="\n".join(discovery))
