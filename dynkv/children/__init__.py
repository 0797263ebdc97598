"""Processes: spawning, finding, ending; what a child writes. No policy."""
