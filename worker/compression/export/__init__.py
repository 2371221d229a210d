"""The artifact: a folder that loads as it is, with the evidence beside it."""
