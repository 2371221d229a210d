"""What a model is worth on labelled data: base and compressed by one protocol, several seeds."""
