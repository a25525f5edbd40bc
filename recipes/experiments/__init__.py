"""The paper's claims as experiments: `claims.py` has the four, each a list of arms that are run with several seeds."""
