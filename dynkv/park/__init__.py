"""Imports that stay parked for a host between deployments: the parker, and its handover to and from a supervisor."""
