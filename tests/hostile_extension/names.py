"""No names: the extension adds nothing."""
