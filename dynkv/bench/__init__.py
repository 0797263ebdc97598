"""Measuring deployments beside each other, on one traffic."""
