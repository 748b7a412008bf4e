"""Authoring tools: make the reference values that the model packs' numeric checks compare with."""
