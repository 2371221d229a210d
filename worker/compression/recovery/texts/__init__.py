"""The texts of the steps: sampled from the corpus, drawn, batched by length."""
