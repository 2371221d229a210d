"""Domain tokenizers: training, one module for each family of ``families.TOKENIZER_FAMILIES``."""
