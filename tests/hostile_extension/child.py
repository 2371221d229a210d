"""The self-check's process, which does what is said of a `child`."""

from tests.hostile_extension.acts import ACTS, said


def main() -> int:
    """Do it in the place of the self-check's `main`."""
    ACTS[said()[1]]()
    return 0


if __name__ == "__main__":
    main()
