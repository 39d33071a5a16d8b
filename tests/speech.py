"""Debian's speech programs: what needs one is skipped without it, and fails if SOURDINE_SPEECH=required."""

import os
import shutil

import pytest


def needs(program: str) -> pytest.MarkDecorator:
    """A mark for what this program must be installed for."""
    skipped = not shutil.which(program) and os.environ.get("SOURDINE_SPEECH") != "required"
    return pytest.mark.skipif(skipped, reason=f"{program} is not installed: make speech-tools")
