"""How long the parts of a job usually take: it says how far a job is, and nothing else."""
