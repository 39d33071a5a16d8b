"""`sourdine phrase "hey sourdine"`: whether a phrase makes a good wake word, before anything is trained."""

import argparse

from sourdine_board.mistake import Mistake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("phrase", help="the words to wake on, in quotes")
    parser.add_argument("--language", default="en", metavar="en|fr", help="which it is said in (default: %(default)s)")
    parser.epilog = "Exit status: 0 a good phrase, 1 a poor one, 2 a mistake."


def run(arguments: argparse.Namespace) -> int:
    try:
        from sourdine_training import words
    except ImportError as error:
        raise Mistake(f"training needs {error.name}: pip install -e '.[train]'") from error

    verdict = words.verdict(arguments.phrase, arguments.language)
    print(text(arguments.phrase, verdict))
    return 0 if verdict.ok else 1


def text(phrase: str, verdict) -> str:
    """A verdict as a person reads it."""
    kind = "a good" if verdict.ok else "no" if verdict.refused else "a poor"
    lines = [f"“{phrase}” makes {kind} wake word: {verdict.score} of 100.", *verdict.reasons]
    if verdict.sounds_like:
        lines.append(f"Sounds like: {', '.join(verdict.sounds_like)}.")
    if verdict.alternatives:
        lines.append("Better: " + ", ".join(f"“{other}” ({score})" for other, score in verdict.alternatives) + ".")
    return "\n".join(lines)
