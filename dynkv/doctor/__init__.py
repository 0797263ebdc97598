"""Inspecting the host, and judging a plan by the facts."""
