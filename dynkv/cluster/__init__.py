"""Other machines that serve the same model: where all of them meet, and what each knows of the others."""
