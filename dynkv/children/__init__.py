"""Processes: spawning, finding and ending them, and their output. No policy."""
