"""The self-check's process, which does what is said of a `child`."""

from tests.hostile_extension.acts import ACTS, said

if __name__ == "__main__":
    ACTS[said()[1]]()
