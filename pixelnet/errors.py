"""The one exception for bad input."""


class InputError(ValueError):
    """Bad input: the message names the file, what was found, what was expected, and the remedy.

    The command line prints the message alone and exits with code 2; anything else that escapes is a bug of
    ours and keeps its traceback.
    """
