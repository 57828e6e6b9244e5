"""The one exception that a user of the tools sees."""


class ForkError(Exception):
    """What was wrong, where, and what is expected, in words for the user.

    The commands print it without a traceback and exit with 1.
    """
