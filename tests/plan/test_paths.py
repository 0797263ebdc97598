"""The meaning of a path in a profile, whatever the working directory."""

from __future__ import annotations

import pytest

from dynkv.errors import PreflightRefused
from dynkv.plan.facts import PathFacts
from dynkv.plan.paths import expand, user_of

FACTS = PathFacts("/there", {"": "/home/me", "anna": "/home/anna/", "relative": "there"})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/kv", "/kv"),
        ("/kv//a/./b/", "/kv/a/b"),
        ("kv", "/there/kv"),
        ("./kv/../x", "/there/kv/../x"),
        (".", "/there"),
        ("~", "/home/me"),
        ("~/kv", "/home/me/kv"),
        ("~//kv", "/home/me/kv"),
        ("~anna", "/home/anna"),
        ("~anna/kv", "/home/anna/kv"),
        ("~relative/kv", "/there/there/kv"),
        ("kv/~anna", "/there/kv/~anna"),
        ("${DYNKV_HOME}/kv", "/state/kv"),
        ("${DYNKV_HOME}", "/state"),
        ("$HOME/kv", "/there/$HOME/kv"),
    ],
)
def test_expand(written: str, meant: str) -> None:
    assert expand(written, "/state", FACTS) == meant


@pytest.mark.parametrize("written", ["/kv", "~/kv", "${DYNKV_HOME}/kv"])
def test_without_a_working_directory_what_is_absolute_stays(written: str) -> None:
    assert expand(written, "/state", PathFacts(None, FACTS.homes)) == expand(written, "/state", FACTS)


@pytest.mark.parametrize(
    ("written", "facts", "words"),
    [
        ("kv", PathFacts(None), "no working directory that kv could be relative to"),
        ("~relative/kv", PathFacts(None, FACTS.homes), "no working directory that ~relative/kv could be relative to"),
        ("~nobody/kv", FACTS, "no user nobody on this host, but ~nobody/kv begins in a home"),
        ("~/kv", PathFacts("/there", {}), "the user has no home on this host, but ~/kv begins in a home"),
    ],
)
def test_what_means_nothing_here_is_refused_in_words(written: str, facts: PathFacts, words: str) -> None:
    with pytest.raises(PreflightRefused) as refused:
        expand(written, "/state", facts)
    assert words in refused.value.what
    assert refused.value.hint == "write the full path, starting with /"


@pytest.mark.parametrize(
    ("written", "user"),
    [("~", ""), ("~/kv", ""), ("~anna", "anna"), ("~anna/kv", "anna"), ("/~anna", None), ("kv", None), ("", None)],
)
def test_user_of(written: str, user: str | None) -> None:
    assert user_of(written) == user
