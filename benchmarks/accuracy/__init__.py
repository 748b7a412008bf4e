"""How right the answers are, on labelled data."""
