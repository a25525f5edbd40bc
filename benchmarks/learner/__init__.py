"""How well a learner learns, beside peers: from a few labelled pixels, and from dense labels in a given time."""
