"""The pages of the reference, each made from the code that it describes."""

from __future__ import annotations

from collections.abc import Callable

from generate import checks, cli, events, exit_codes, hosts, http_api, launch_scripts, metrics, profile

PAGES: dict[str, Callable[[], str]] = {
    "reference/cli.md": cli.page,
    "reference/profile.md": profile.page,
    "reference/checks.md": checks.page,
    "reference/events.md": events.page,
    "reference/exit-codes.md": exit_codes.page,
    "reference/hosts.md": hosts.page,
    "reference/launch-scripts.md": launch_scripts.page,
    "reference/metrics.md": metrics.page,
    "reference/http-api.md": http_api.page,
}
"""The function that makes each page, by the page's path in the documentation."""
