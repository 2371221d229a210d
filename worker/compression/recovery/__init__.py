"""Recovery: training a transferred model on its domain, with its base as the teacher."""
