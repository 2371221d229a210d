"""What can go wrong with local mode."""


class LocalServiceError(Exception):
    """The local service cannot start or did not stay up; the message says what to do."""
