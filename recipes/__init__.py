"""Recipes: each published row as one function. `python -m recipes` lists them; see `recipes/__main__.py`."""
