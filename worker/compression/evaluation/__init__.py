"""Measure on held-out text what a compression changed."""
