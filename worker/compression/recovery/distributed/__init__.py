"""Recovery by several processes of one machine, each on a GPU of its own."""
