"""Train a static encoder: a vector a token, and the vector of a text is their mean."""
