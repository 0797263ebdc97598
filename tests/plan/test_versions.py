"""Which versions of the stack are new enough."""

from __future__ import annotations

import pytest

from dynkv.plan.versions import at_least


@pytest.mark.parametrize(
    ("version", "wanted", "answer"),
    [
        ("1.4.0", (1, 4), True),
        ("1.10.0", (1, 4), True),
        ("1.3.9", (1, 4), False),
        ("0.5.1", (0, 5, 1), True),
        ("0.5.0", (0, 5, 1), False),
        ("0.5.1.dev3+g12ab", (0, 5, 1), True),
        ("2.13.0+cpu", (2, 13), True),
    ],
)
def test_at_least(version: str, wanted: tuple[int, ...], answer: bool) -> None:
    assert at_least({"p": version}, "p", *wanted) is answer


def test_an_unknown_version_is_taken_to_be_new() -> None:
    assert at_least({}, "p", 99)


def test_a_version_of_two_numbers_is_as_new_as_one_that_ends_in_zero() -> None:
    assert at_least({"p": "0.5"}, "p", 0, 5, 0)
