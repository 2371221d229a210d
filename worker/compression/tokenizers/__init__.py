"""Domain tokenizers: one module a family, behind ``family.Family``."""
