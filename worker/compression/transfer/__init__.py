"""Partition and transfer: the domain vocabulary in place of the base vocabulary."""
