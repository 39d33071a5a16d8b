"""Voices: engines behind one interface, who says what, and the clips of it."""

from .cast import Options, cast
from .saying import Saying
from .speak import Clip, speak
from .voice import Voice

__all__ = ["Clip", "Options", "Saying", "Voice", "cast", "speak"]
