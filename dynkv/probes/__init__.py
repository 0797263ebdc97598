"""Asking a unit how it is: one try, streaks of results, timing."""
