"""What to clean up after a dead child before its successor may start."""
