"""The chaos suite: the whole service in real processes, with faults at random moments.

`python -m tests.chaos --database sqlite` runs it by hand; `test_chaos.py` runs a short one.
"""
