"""The one exception whose text is meant for the person at the keyboard."""


class Mistake(Exception):
    """What a user can mend: one line on stderr that says what to do next; exit status 2."""
