"""Looking at the host, and judging a plan by what was seen."""
