"""Which model types transformers has no class for that a task needs."""

WITHOUT_TOKEN_CLASSIFICATION = ("gemma3_text", "bart", "mbart")
"""All that are supported have one for sequence classification."""
