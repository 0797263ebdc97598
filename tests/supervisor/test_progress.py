"""When a unit counts as hung, as histories of samples."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from dynkv.plan.model import HttpGet, Liveness
from dynkv.supervisor.progress import Sample, hung

LIVENESS = Liveness(HttpGet(1, "/metrics"), period_seconds=5, failure_threshold=3, stall_seconds=20)
BUSY_CPU = 4.0


def history(
    *,
    answered: Iterable[int] = (1, 1, 1),
    stopped: Iterable[int] | None = None,
    cpu: float = 0.0,
    engine: Iterable[int] | None = None,
    running: float | None = None,
    tokens: Iterable[float | None] | None = None,
) -> list[Sample]:
    """Samples every 5 s; `cpu` is the CPU time of its tree between two."""
    said = list(answered)
    stop, engines = list(stopped or [0] * len(said)), list(engine or [0] * len(said))
    counts = list(tokens or [None] * len(said))
    return [
        Sample(n * 5.0, bool(ok), bool(stop[n]), n * cpu, bool(engines[n]), running, counts[n])
        for n, ok in enumerate(said)
    ]


def test_one_that_answers_is_well() -> None:
    assert hung(history(answered=[1] * 9), LIVENESS) is None


def test_silent_and_idle_three_times_is_hung_twice_is_not() -> None:
    assert hung(history(answered=[1, 0, 0]), LIVENESS) is None
    assert hung(history(answered=[1, 0, 0, 0]), LIVENESS) == "it has not answered for 10 s, and does nothing"


def test_silent_and_busy_is_late_and_alive() -> None:
    assert hung(history(answered=[1, *[0] * 50], cpu=BUSY_CPU), LIVENESS) is None


def test_stopped_three_times_is_hung() -> None:
    assert hung(history(answered=[1, 0, 0], stopped=[0, 1, 1]), LIVENESS) is None
    assert hung(history(answered=[0, 0, 0], stopped=[1, 1, 1]), LIVENESS) == "it is stopped (SIGSTOP)"


def test_a_lost_engine_is_found_also_while_it_answers() -> None:
    lost = history(answered=[1] * 4, engine=[1, 0, 0, 0])
    assert hung(lost, LIVENESS) == "its engine died under a live main process"
    assert hung(history(answered=[1] * 4, engine=[0, 0, 0, 1]), LIVENESS) is None
    assert hung(history(answered=[1] * 4, engine=[0, 0, 0, 0]), LIVENESS) is None, "it never had one"


def test_requests_without_a_token_for_too_long() -> None:
    stalled = history(answered=[1] * 5, running=2, tokens=[7, 7, 7, 7, 7], cpu=BUSY_CPU)
    assert hung(stalled, LIVENESS) == "2 requests run, and not one token has come for 20 s"
    assert hung(stalled[:-1], LIVENESS) is None


def test_tokens_that_move_or_nothing_to_do_is_no_stall() -> None:
    assert hung(history(answered=[1] * 9, running=2, tokens=range(9)), LIVENESS) is None
    assert hung(history(answered=[1] * 9, running=0, tokens=[7] * 9), LIVENESS) is None


def test_a_sample_without_figures_proves_nothing_either_way() -> None:
    gaps = history(answered=[1, 0, 0, 1, 1], running=2, tokens=[7, None, None, 7, 7], cpu=BUSY_CPU)
    assert hung(gaps, LIVENESS) == "2 requests run, and not one token has come for 20 s"


@given(st.lists(st.tuples(st.floats(1, 100), st.floats(0.2, 4)), max_size=30))
def test_who_answers_and_gets_on_is_never_hung(steps: list[tuple[float, float]]) -> None:
    at, cpu, tokens, samples = 0.0, 0.0, 0.0, []
    for elapsed, work in steps:
        at, cpu, tokens = at + elapsed, cpu + work, tokens + 1
        samples.append(Sample(at, True, False, cpu, True, 3, tokens))
        assert hung(samples, LIVENESS) is None


def test_a_canary_that_fails_three_times_while_nothing_moves_is_a_hang() -> None:
    def samples(failed: Iterable[int], tokens: Iterable[float]) -> list[Sample]:
        pairs = zip(failed, tokens, strict=True)
        return [
            Sample(n * 5.0, True, False, 0.0, tokens=count, canary_failed=bool(one))
            for n, (one, count) in enumerate(pairs)
        ]

    assert hung(samples([0, 1, 1], [7, 7, 7]), LIVENESS) is None
    assert hung(samples([1, 0, 1, 1], [7, 7, 7, 7]), LIVENESS) is None
    assert hung(samples([1, 1, 1], [7, 7, 9]), LIVENESS) is None, "it works, and is late"
    assert hung(samples([0, 1, 1, 1], [7, 7, 7, 7]), LIVENESS) == "its canary fails: HTTP answers, its engine does not"
