"""The exceptions that are no bugs: what the user can mend, and a stop that was asked for."""


class RunnerError(Exception):
    """A sentence for the user: the key or file, its value, and the remedy.

    The command line prints it without a traceback and exits with code 1.
    """


class Interrupted(Exception):
    """The run was asked to stop; its state is in last.pt."""


class Pruned(Exception):
    """A search has given this run up: its validation curve is behind that of the others."""


class Held(RunnerError):
    """Another process is at it."""


# Exit code of a run that was stopped and can be resumed.
EXIT_INTERRUPTED = 130
