"""Imports that stay parked for a host between deployments: the parker, and what it and a supervisor hand over."""
