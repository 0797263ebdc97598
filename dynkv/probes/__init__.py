"""Probing units: a single attempt, streaks of results, timing."""
