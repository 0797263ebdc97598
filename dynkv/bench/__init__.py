"""Comparing deployments under the same traffic."""
