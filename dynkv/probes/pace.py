"""How often to ask a program that is not ready yet. Pure."""

from __future__ import annotations

_SHARE = 0.02
_LONGEST_S = 1.0


def periods(period_s: float, waited_s: float) -> int:
    """How many periods to wait until the next attempt, after `waited_s` seconds without success.

    This delays nobody by more than a fiftieth of the time waited. Ten attempts a second throughout would fill the log
    of a program that takes minutes to start: Dynamo logs each of its 503 answers as an error (ai-dynamo 1.6.1).
    """
    return max(1, int(min(waited_s * _SHARE, _LONGEST_S) / period_s))
