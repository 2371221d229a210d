"""Load a table and look up some rows; prints the most memory that this process had, in bytes."""

import sys
from pathlib import Path

import numpy as np

np.load(sys.argv[1])[:2].sum()
status = Path("/proc/self/status").read_text("utf-8")
print(1024 * int(status.partition("VmHWM:")[2].split()[0]))
