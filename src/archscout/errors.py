"""The one exception for a user's mistake."""


class InputError(ValueError):
    """Input that archscout cannot use.

    The message names the bad value, the place where it stands and what is accepted there, in one
    or two lines. The command line prints it as it is and exits with code 2.
    """
