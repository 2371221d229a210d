"""What a compression changed, measured on held-out text."""
