"""Other machines that serve the same model: where they meet, and what each knows of the others."""
