"""`sourdine phrase`: a verdict that a person reads, and a status that a script does."""

import pytest

from sourdine_tools import cli, phrase
from sourdine_training.words import Verdict

GOOD = Verdict("hey sourdine", True, False, 97, ("It has 4 syllables.",), (), ("society in",))


def test_a_verdict_is_read_from_the_weightiest_to_the_way_out():
    poor = Verdict(
        "go", False, True, 9, ("It is short.", "It is said all day."), (("okay go", 60), ("go cello", 55)), ()
    )
    assert phrase.text("go", poor).splitlines() == [
        "“go” makes no wake word: 9 of 100.",
        "It is short.",
        "It is said all day.",
        "Better: “okay go” (60), “go cello” (55).",
    ]
    assert phrase.text("hey sourdine", GOOD).splitlines() == [
        "“hey sourdine” makes a good wake word: 97 of 100.",
        "It has 4 syllables.",
        "Sounds like: society in.",
    ]


@pytest.mark.parametrize(("ok", "status", "kind"), [(True, 0, "a good"), (False, 1, "a poor")])
def test_the_status_says_whether_it_is_good(monkeypatch, capsys, ok, status, kind):
    verdict = Verdict("hey you", ok, False, 60, (), (), ())
    monkeypatch.setattr("sourdine_training.words.verdict", lambda *_: verdict)
    assert cli.main(["phrase", "hey you"]) == status
    assert capsys.readouterr().out == f"“hey you” makes {kind} wake word: 60 of 100.\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("",), "the phrase is empty"),
        (("route 66",), "spell the numbers out"),
        (("hey", "--language", "xx"), "no language"),
    ],
)
def test_what_is_no_phrase_is_a_mistake(capsys, words, why):
    assert cli.main(["phrase", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sourdine phrase: ")
    assert why in line
