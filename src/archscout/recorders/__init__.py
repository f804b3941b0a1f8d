"""Recorders of modules that belong to no space."""
