"""The studio: how soon it answers, that it loses nothing, and how many strokes a person needs, beside a forest."""
