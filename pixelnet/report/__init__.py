"""Pictures for people: pages, panels of predictions, curves and plots."""
