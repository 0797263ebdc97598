"""What must be cleaned up behind a dead child before its successor may start."""
