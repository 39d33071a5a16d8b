"""The one exception whose text is meant for the person at the keyboard."""


class Mistake(Exception):  # noqa: N818  the user's to mend, not a fault of the program
    """What a user can mend: one line on stderr that says what to do next; exit status 2."""
