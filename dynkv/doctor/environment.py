"""Variables of the person's environment that no process gets. Pure; needs no plan."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor.findings import Finding, finding
from dynkv.plan.environment import dropped_names
from dynkv.plan.facts import HostFacts
from dynkv.profile.environment import FORBIDDEN_ENV
from dynkv.profile.model import Profile


def checks(profile: Profile, facts: HostFacts) -> Iterator[Finding]:
    for variable in facts.ignored_environ:
        yield finding(
            "environment-ignored",
            f"{variable} is set here but passed to no process",
            FORBIDDEN_ENV[variable],
            "nothing to do",
        )
    if names := dropped_names(profile, facts):
        yield finding(
            "environment-dropped",
            f"set here but passed to no process: {', '.join(names)}",
            "Dynamo or LMCache would read them, and most would override the plan",
            "set what is needed under env (of the profile, workers, lmcache or frontend), or by its key",
        )
