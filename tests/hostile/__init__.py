"""A table of hostile inputs, each with the answer that it must get.

`python -m tests.hostile` sends them all to a service of its own and prints the table.
"""
