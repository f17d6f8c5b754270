"""The model card of a prior: its figures measured anew, with pictures."""
