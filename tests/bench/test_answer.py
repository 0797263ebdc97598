"""From rounds to an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from dynkv.bench.answer import Answer, answer
from dynkv.bench.diary import Failure, Head, Notes, Round
from dynkv.bench.figures import Answered, Limits, Load, figures_of, first_tokens, percentile
from dynkv.bench.variants import Variant, variants, visits
from dynkv.bench.verdict import with_verdict
from dynkv.errors import UsageError

NOISE = (1.0, 1.01, 0.99, 1.005, 0.995)


def notes(*variants: str, points: Sequence[str] = ("",), ttft: Callable[[str, str], float]) -> Notes:
    """Five rounds of each variant, which differ only in the first token."""
    rounds = [
        Round(number, name, point, {"ttft_p50_s": ttft(name, point) * noise, "output_tokens_per_s": 500.0 / noise})
        for number, noise in enumerate(NOISE, 1)
        for name in variants
        for point in points
    ]
    return Notes(Head(variants, tuple(points), "chat", "vllm bench serve"), tuple(rounds))


def told(found: Notes) -> Answer:
    return with_verdict(answer(found))


def test_a_variant_that_is_faster_is_the_one_to_use() -> None:
    found = told(notes("agg", "disagg", ttft=lambda name, _: 0.5 if name == "agg" else 0.3))
    row = next(row for row in found.rows if row.figure == "ttft_p50_s")
    assert row.values["agg"].median == pytest.approx(0.5)
    assert row.against["disagg"].ratio == pytest.approx(0.6)
    assert (row.against["disagg"].verdict, row.against["disagg"].is_better) == ("lower", True)
    assert found.best == "disagg"
    assert found.verdict == "On this traffic, use disagg: median time to first token is 40% lower than with agg."


def test_one_that_is_slower_is_not() -> None:
    found = told(notes("agg", "disagg", ttft=lambda name, _: 0.5 if name == "agg" else 0.75))
    assert found.best == ""
    assert found.verdict == (
        "On this traffic, agg is the one to use: with disagg median time to first token is 50% higher."
    )


def test_what_does_not_differ_is_called_equal() -> None:
    found = told(notes("agg", "disagg", ttft=lambda *_: 0.5))
    assert found.best == ""
    assert found.verdict == "On this traffic, nothing measured is better than agg beyond noise."
    assert found.sentences == ("disagg is equal to agg in: median time to first token, output throughput.",)


def test_it_says_from_which_pressure_on_something_pays() -> None:
    def ttft(name: str, point: str) -> float:
        return {"agg": {"0.5": 0.30, "1": 0.3, "2": 1.0, "4": 1.2}}.get(name, {}).get(
            point, 0.2 if point > "1" else 0.3
        )

    found = told(notes("agg", "lmcache", points=("0.5", "1", "2", "4"), ttft=ttft))
    assert found.best == "lmcache"
    assert "80% to 83% lower at 2, 4 times the GPU's KV cache" in found.verdict


def test_one_round_says_nothing_about_noise() -> None:
    head = Head(("agg", "disagg"), ("",), "chat", "vllm bench serve")
    found = told(Notes(head, (Round(1, "agg", "", {"ttft_p50_s": 0.5}), Round(1, "disagg", "", {"ttft_p50_s": 0.1}))))
    assert found.best == ""
    assert found.sentences == (
        "One round does not tell whether disagg differs from agg in: median time to first token.",
    )


def test_what_did_not_come_up_is_told_with_its_reason() -> None:
    head = Head(("agg", "disagg"), ("",), "chat", "vllm bench serve")
    found = told(Notes(head, (Round(1, "agg", "", {"ttft_p50_s": 0.5}),), (Failure("disagg", "no second GPU"),)))
    assert found.sentences == ("disagg was not measured: no second GPU",)


def test_rounds_are_compared_in_pairs_and_a_missing_one_costs_its_pair_alone() -> None:
    whole = notes("agg", "disagg", ttft=lambda name, _: 0.5 if name == "agg" else 0.3)
    found = answer(Notes(whole.head, whole.rounds[:-1]))
    row = next(row for row in found.rows if row.figure == "ttft_p50_s")
    assert (row.values["agg"].rounds, row.values["disagg"].rounds) == (5, 4)
    assert row.against["disagg"].ratio == pytest.approx(0.6)


# --- figures ---

ONE = Answered("turn 1", 10.0, 0.5, (0.1, 0.1, 0.1), 100, 4)
TWO = Answered("turn 2", 10.5, 0.2, (0.3,) * 3, 200, 4)


def test_figures_of_a_round() -> None:
    found = figures_of(Load((ONE, TWO), failed=1))
    assert found == pytest.approx(
        {
            "requests": 2,
            "failed": 1,
            "ttft_p50_s": 0.35,
            "ttft_p99_s": 0.5,
            "e2e_p50_s": 0.95,
            "itl_p50_s": 0.2,
            "input_tokens": 300,
            "output_tokens": 8,
            "duration_s": 1.6,
            "output_tokens_per_s": 5.0,
        }
    )
    assert first_tokens((ONE, TWO)) == {"turn 1": 0.5, "turn 2": 0.2}


def test_goodput_counts_who_keeps_all_limits() -> None:
    assert figures_of(Load((ONE, TWO)), Limits(ttft_s=0.3))["goodput_per_s"] == pytest.approx(1 / 1.6)
    assert figures_of(Load((ONE, TWO)), Limits(ttft_s=0.6, itl_s=0.15))["goodput_per_s"] == pytest.approx(1 / 1.6)
    assert figures_of(Load((ONE, TWO)), Limits(ttft_s=0.3, itl_s=0.15))["goodput_per_s"] == 0


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(it) for it in range(1, 101)]
    assert (percentile(values, 99), percentile(values, 50), percentile([3.0], 99)) == (99.0, 50.0, 3.0)


# --- variants ---


def test_common_options_are_everybodys_and_a_variants_own_have_the_last_word() -> None:
    assert variants("agg", ["--model", "m"], ["agg --no-lmcache", "disagg --model n"], []) == (
        Variant("agg", ("agg", "--model", "m")),
        Variant("agg --no-lmcache", ("agg", "--model", "m", "--no-lmcache")),
        Variant("disagg --model n", ("disagg", "--model", "m", "--model", "n")),
    )


def test_a_variant_beside_itself_shows_the_noise() -> None:
    assert [it.name for it in variants("agg", [], ["agg", "agg"], [])] == ["agg", "agg (2)", "agg (3)"]
    assert len({it.words for it in variants("agg", [], ["agg"], [])}) == 1


def test_a_sweep_has_every_combination() -> None:
    names = [it.name for it in variants("agg", [], ["disagg"], ["a.b=1,2", "c=x,y"])]
    assert names == ["agg a.b=1 c=x", "agg a.b=1 c=y", "agg a.b=2 c=x", "agg a.b=2 c=y", "disagg"]


@pytest.mark.parametrize(
    ("against", "sweeps"),
    [([""], []), (["agg 'open"], []), (["agg --name x"], []), ([], ["key"]), ([], ["key=1"])],
)
def test_what_cannot_be_a_variant_is_refused(against: list[str], sweeps: list[str]) -> None:
    with pytest.raises(UsageError):
        variants("agg", [], against, sweeps)


def test_every_other_round_goes_backwards() -> None:
    both = (Variant("a", ()), Variant("b", ()))
    assert [(it.round, it.variant.name) for it in visits(both, 3)] == [
        (1, "a"),
        (1, "b"),
        (2, "b"),
        (2, "a"),
        (3, "a"),
        (3, "b"),
    ]


@pytest.mark.parametrize(
    ("used_gib", "words"),
    [
        ({"0.5": 4.0, "2": 11.0}, "L1 of 20 GiB holds it: at most 11 GiB were used."),
        ({"0.5": 4.0, "2": 15.5}, "L1 of 20 GiB may not hold it from 2 times the GPU's KV cache on: up to 78%"),
    ],
)
def test_it_says_whether_l1_holds_the_traffic(used_gib: dict[str, float], words: str) -> None:
    gib = 1024**3
    plain = notes("agg", "agg --no-lmcache", points=tuple(used_gib), ttft=lambda name, _: 0.3 if name == "agg" else 0.5)
    rounds = [
        replace(it, figures={**it.figures, "l1_used_bytes": used_gib[it.point] * gib, "l1_size_bytes": 20.0 * gib})
        if it.variant == "agg"
        else it
        for it in plain.rounds
    ]
    assert words in told(replace(plain, rounds=tuple(rounds))).verdict
    assert "L1" not in told(plain).verdict
