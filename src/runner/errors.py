"""The one exception that means "the user can mend this"."""


class RunnerError(Exception):
    """A sentence for the user: the key or file, its value, and the remedy.

    The command line prints it without a traceback and exits with code 1.
    """
