"""The one error that is told to the user in a sentence, without a traceback."""


class Fault(Exception):
    """What went wrong and how to mend it."""
