"""What is said, and what must never be called something else."""

import functools
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import hibari
import pytest

import speech
from sourdine_board.mistake import Mistake
from sourdine_training.words import KINDS, Line, Options, language, languages, pronounce
from sourdine_training.words import lines as write
from sourdine_training.words.language import vocabulary
from sourdine_training.words.near import INVENTORY
from sourdine_training.words.phones import CONSONANTS, NUMBER, VOWELS, split
from sourdine_training.words.phrase import Phrase

FEW = Options(positive=20, near=150, partial=40, running=80, speech=300)
MORE = Options(positive=45, near=600, partial=80, running=120, speech=320)
needs_espeak = speech.needs("espeak-ng")  # it reads French
PHRASES = [("alexa", "en"), ("hey sourdine", "en"), pytest.param("dis sourdine", "fr", marks=needs_espeak)]
# What somebody in the next room, or with another accent, would still take for the phrase; and what nobody would.
TAKEN = [
    (
        *(
            "alexa",
            "en",
            "alex, alex eh, al acs, a lacks, el ex, all ex, lex aw, uh lexus, lexi, alexis, əlˈɛkmA, filˈɛksə",
        ),
        "electric, relax, taxes, texas, lex, alec, lacks, sexy",
    ),
    (
        "jarvis",
        "en",
        "hey jarvis, jar vis, jervis, gervais, charges us jarvis, ʤˈɑɹvɪk",
        "service, harvest, charges, travis",
    ),
    (
        "computer",
        "en",
        "computers, compute, computing, commuter, come pewter",
        "complete, competitor, community, tutor",
    ),
    (
        *(
            "view glass",
            "en",
            "few glass, view class, you glass, few grass, view gas, blue glass, new glass, the view glass",
        ),
        "view, glass, you guess, few, class, fruitless",
    ),
    (
        *(
            "hey sourdine",
            "en",
            "hey sardine, hey sir dean, a sour dean, hey certain, oh sourdine, sourdine, my sourdine",
        ),
        "hey, sour, dean, hey sunshine, hey nadine",
    ),
    pytest.param(
        *("dis sourdine", "fr", "dix sourdines, six sourdines, dis sardine, dis sabine, dis sourdines, pas sourdine"),
        "dis, sourdine, dis donc, piscine",
        marks=needs_espeak,
    ),
]


lines = functools.cache(write)  # the tests ask for the same ones again and again


def of(kind: str, told: list[Line]) -> list[Line]:
    return [line for line in told if line.kind == kind]


def holds(longer: tuple[str, ...], shorter: tuple[str, ...]) -> bool:
    return any(longer[at : at + len(shorter)] == shorter for at in range(len(longer) - len(shorter) + 1))


@pytest.mark.parametrize(("phrase", "code"), PHRASES)
def test_nothing_but_positives_is_or_holds_the_phrase_in_any_pronunciation(phrase: str, code: str):
    said = {split(ipa) for ipa in pronounce(phrase, code)}
    others = [line for line in lines(phrase, code, MORE) if line.kind != "positive"]
    # as an engine reads the text, all of it at once, and as one says the phonemes
    heard = [*language(code).read([line.text for line in others]), *(line.phonemes for line in others if line.phonemes)]
    assert not [ipa for ipa in heard if any(holds(split(ipa), each) for each in said)]
    letters = ["".join(c for c in line.text.lower() if c.isalpha()) for line in others]
    assert not [text for text in letters if phrase.replace(" ", "") in text]


@pytest.mark.parametrize(("phrase", "code", "taken", "other"), TAKEN)
def test_no_negative_is_or_holds_what_a_person_would_take_for_the_phrase(
    phrase: str, code: str, taken: str, other: str
):
    said, like = Phrase.of(phrase, code), taken.split(", ")
    words, made_up = [text for text in like if text.isascii()], [split(text) for text in like if not text.isascii()]
    assert not said.others(words).any()
    assert not said.apart(made_up).any()
    assert said.others(other.split(", ")).all()
    told = [line for line in lines(phrase, code, MORE) if line.kind != "positive"]
    assert not {line.text for line in told} & set(words)
    assert not [line for line in told if any(holds(split(line.phonemes), each) for each in made_up)]


@pytest.mark.parametrize(
    ("phrase", "like", "unlike"),
    [
        ("alexa", "put a lacks here, she said uh lexus, I like a lexus", "the election is over, play the next song"),
        ("jarvis", "they said hey jarvis, a jar vis", "the service charges are here, a jar of jam"),
        ("hey sourdine", "it was a sour dean, say hey sardine", "set it to fourteen percent, is the sauce sour"),
    ],
)
def test_sentences_keep_common_words_that_begin_alike_and_nothing_nearer(phrase: str, like: str, unlike: str):
    said = Phrase.of(phrase, "en")
    assert not said.clear(like.split(", ")).any()
    assert said.clear(unlike.split(", ")).all()


@pytest.mark.parametrize(("phrase", "code"), PHRASES)
def test_more_lines_extend_fewer(phrase: str, code: str):
    few, more = lines(phrase, code, FEW), lines(phrase, code, MORE)
    # what is said with a pause stands behind all others
    few, more = (
        [line for line in told if line.kind != "positive" or "," not in line.text[:-1]] for told in (few, more)
    )
    for kind in KINDS:
        assert of(kind, more)[: len(of(kind, few))] == of(kind, few)
        assert len(of(kind, few)) < len(of(kind, more)) or kind == "positive"
        assert len(set(of(kind, more))) == len(of(kind, more)) <= getattr(MORE, kind)
    # and by kind, in this order
    assert [line.kind for line in few] == sorted((line.kind for line in few), key=KINDS.index)


def test_every_process_says_the_same():
    script = "from sourdine_training.words import *; print(lines('jarvis', 'en', Options(30, 60, 20, 20, 20), seed=7))"
    told = lines("jarvis", "en", Options(30, 60, 20, 20, 20), seed=7)
    env = {**os.environ, "PYTHONHASHSEED": "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"}
    elsewhere = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert elsewhere.stdout.strip() == str(told)


def test_the_seed_draws_the_sentences_and_nothing_else():
    one, two = lines("alexa", "en", FEW, seed=1), lines("alexa", "en", FEW, seed=2)
    for kind in ("positive", "near", "partial"):
        assert of(kind, one) == of(kind, two)
    assert of("speech", one) != of("speech", two)
    assert of("running", one) != of("running", two)


@pytest.mark.parametrize(
    ("phrase", "likes"),
    [
        ("alexa", {"electric", "relax", "lex", "alec", "elected"}),
        ("jarvis", {"service", "charges", "surface", "jar", "nervous"}),
        ("computer", {"complete", "competitor", "community", "tutor"}),
        ("view glass", {"view", "glass", "class", "useless"}),
        ("hey sourdine", {"hey", "sour", "dine", "hey Anna", "fourteen"}),
    ],
)
def test_what_people_confuse_is_among_the_confusables(phrase: str, likes: set[str]):
    told = lines(phrase, "en", MORE)
    assert likes <= {line.text for line in told}


@pytest.mark.parametrize(("phrase", "code"), PHRASES)
def test_there_are_as_many_lines_as_asked_for_and_mostly_of_real_words(phrase: str, code: str):
    for kind in ("near", "partial", "running", "speech"):
        told = of(kind, lines(phrase, code, MORE))
        assert len(told) == getattr(MORE, kind)
        assert sum(bool(line.phonemes) for line in told) <= 0.2 * len(told)
    pieces = [line for line in of("partial", lines(phrase, code, MORE)) if " " not in line.text]
    assert len(pieces) > 0.6 * MORE.partial
    assert all(len(split(line.phonemes)) > 2 for line in pieces if line.phonemes)


def test_parts_of_a_phrase_are_said_alone_and_in_the_wrong_order():
    told = {line.text for line in of("partial", lines("hey sourdine", "en", FEW))}
    assert {"hey", "sour", "dine"} <= told
    assert any(text.startswith("hey ") and text != "hey sourdine" for text in told)
    ipa = {line.phonemes for line in of("partial", lines("computer", "en", MORE))}
    assert {"kəmp", "jˈuTəɹ"} <= ipa
    assert {"view", "glass", "glass view"} <= {line.text for line in lines("view glass", "en", MORE)}


@pytest.mark.parametrize(
    ("phrase", "said"),
    # hibari's documentation gives the first two; the CMU dictionary AH0 L EH1 K S AH0 and JH AA1 R V IH0 S
    [("hello there", "həlˈO ðˈɛɹ"), ("hello there", "həlˈQ ðˈɛː"), ("alexa", "əlˈɛksə"), ("jarvis", "ʤˈɑɹvɪs")],
)
def test_pronunciations_are_the_dictionarys(phrase: str, said: str):
    assert said in pronounce(phrase)[:2]


@pytest.mark.parametrize(
    ("phrase", "said"),
    [
        ("jarvis", "ʤˈarvis"),  # Italy
        ("alexa", "alˈeksa"),  # Spain
        ("computer", "kəmpjˈutəɹ"),  # t, not a tap
        ("hey google", "ˈA ɡˈuɡᵊl"),  # no h
        ("hey sourdine", "hˈA suɹdˈin"),  # rarely read aloud: as in French
    ],
)
def test_accents_are_among_the_variants(phrase: str, said: str):
    assert said in pronounce(phrase)


@pytest.mark.parametrize(("phrase", "code"), PHRASES)
def test_an_engine_can_say_every_phoneme(phrase: str, code: str):
    letters = set(json.loads((Path(hibari.__file__).parent / "assets" / "vocab.json").read_text()))
    told = lines(phrase, code, MORE)
    assert {c for line in told for c in line.phonemes} <= letters
    assert all(split(line.phonemes) for line in told if line.phonemes)


@pytest.mark.parametrize(("phrase", "code"), PHRASES)
def test_positives_are_the_phrase_and_mostly_as_usual(phrase: str, code: str):
    told, variants = of("positive", lines(phrase, code, FEW)), pronounce(phrase, code)
    assert told[0] == Line(phrase, "positive", code, variants[0])
    assert {line.text.rstrip(".,!?").replace(",", "") for line in told} == {phrase}
    assert {line.phonemes.rstrip(".,!?").replace(",", "") for line in told} <= set(variants)
    counts = [sum(line.phonemes.rstrip(".,!?") == ipa for line in told) for ipa in variants]
    assert counts == sorted(counts, reverse=True)


def test_a_pause_between_words_takes_the_last_places_of_the_positives():
    told = of("positive", lines("view glass", "en", MORE))
    paused = [line for line in told if line.text.startswith("view, glass")]
    assert len(paused) == MORE.paused
    assert told[-len(paused) :] == paused
    unpaused = of("positive", lines("view glass", "en", replace(MORE, paused=0)))
    assert len(unpaused) == len(told)
    assert unpaused[: -len(paused)] == told[: -len(paused)]
    assert paused[0] == Line("view, glass", "positive", "en", "vjˈu, ɡlˈæs")
    assert not [line for line in of("positive", lines("alexa", "en", MORE)) if "," in line.text[:-1]]


def test_a_phrase_may_be_respelt_for_engines_that_take_text():
    told = of("positive", lines("hey sourdine", "en", Options(10, 0, 0, 0, 0, respelt=("hey soor deen",))))
    assert {line.text.rstrip(".,!?") for line in told} == {"hey sourdine", "hey soor deen", "hey, sourdine"}


@pytest.mark.parametrize("code", ["en", pytest.param("fr", marks=needs_espeak)])
def test_speech_is_long_and_varied_and_holds_every_phone(code: str):
    told = of("speech", lines("computer" if code == "en" else "ordinateur", code, Options(1, 1, 1, 1, 3000)))
    assert len(told) == 3000
    assert len({word for line in told for word in line.text.lower().split()}) > 3000
    sound = {phone for ipa in language(code).read([line.text for line in told[:600]]) for phone in split(ipa)}
    assert set(INVENTORY[code]) <= sound


@pytest.mark.parametrize("code", ["en", "fr"])
def test_every_slot_of_a_template_is_known(code: str):
    book = vocabulary(languages()[code])
    known = {*book["slots"], "word", "names", "greetings", "x"}
    texts = [
        *book["carriers"],
        *book["speech"],
        *book["words"],
        *(text for each in book["slots"].values() for text in each),
    ]
    asked = {name for text in texts for name in text.replace("}", "{").split("{")[1::2]}
    assert asked <= known
    assert all("{x}" in carrier for carrier in book["carriers"])


@pytest.mark.parametrize(
    ("phrase", "code", "advice"),
    [
        ("", "en", "empty"),
        ("   ", "en", "empty"),
        ("agent 47", "en", "spell the numbers"),
        ("hey @home", "en", "spell it"),
        ("привет", "en", "spell it"),
        ("hey --", "en", "without letters"),
        ("one two three four five six seven", "en", "one to four"),
        ("alexa", "xx", "en (English)"),
    ],
)
def test_what_cannot_be_read_is_a_mistake_with_advice(phrase: str, code: str, advice: str):
    with pytest.raises(Mistake) as told:
        lines(phrase, code)
    assert advice in str(told.value)
    assert "\n" not in str(told.value)


def test_french_without_its_reader_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Mistake, match="espeak-ng"):
        pronounce("dis sourdine", "fr")


@needs_espeak
def test_french_is_as_espeak_reads_it():
    alone = subprocess.run(
        ["espeak-ng", "-v", "fr-fr", "-q", "--ipa", "ok maison"], capture_output=True, text=True, check=True
    )
    assert pronounce("ok maison", "fr")[0] == alone.stdout.strip()
    assert "(" not in "".join(pronounce("hey facebook", "fr"))  # espeak-ng marks English words


@needs_espeak
def test_what_is_read_together_is_read_as_if_alone():
    texts = ["les", "amis", "Tu as vu ? Oui.", "c'est-à-dire", "l'école"]
    assert language("fr").read(texts) == [language("fr").read([text])[0] for text in texts]


def test_phones_are_vowels_or_consonants():
    assert set(NUMBER) == {*VOWELS, *CONSONANTS}
    assert split("hˈA sˈWədˌiːn!") == ("h", "A", "s", "W", "ə", "d", "i", "n")
    assert split("mɛzˈɔ\u0303 dʒ") == ("m", "ɛ", "z", "ɔ\u0303", "ʤ")


def test_ordinary_speech_is_the_same_for_every_phrase():
    """So that voices say it once for all; a sentence that holds the phrase gives its place to another."""
    one, two = (of("speech", lines(phrase, "en", FEW)) for phrase in ("computer", "hey sourdine"))
    assert one == two
    alike = of("speech", lines("alexa", "en", FEW))
    assert sum(a != b for a, b in zip(one, alike, strict=True)) < 6  # Lexi is taken for her
    timed = of("speech", lines("timer", "en", FEW))
    assert len(timed) == len(one)
    replaced = [(a.text, b.text) for a, b in zip(one, timed, strict=True) if a != b]
    assert replaced
    assert not [b for _, b in replaced if "time" in b]
    assert {a for a in (line.text for line in one) if "timer" in a} <= {a for a, _ in replaced}
