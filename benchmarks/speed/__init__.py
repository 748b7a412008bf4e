"""How fast, against the limit of the machine."""
