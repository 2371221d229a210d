"""What recovery learns: language-model objectives, and the distillation from the base."""
