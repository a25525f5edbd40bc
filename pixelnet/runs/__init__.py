"""What is kept on disk: models, the runs that made them, and where models are found by name."""
