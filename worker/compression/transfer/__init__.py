"""Partition and transfer: the domain vocabulary put in place of the base vocabulary."""
