"""The proof in words: the same few lines in the picture, on the page and on the terminal."""

from collections import Counter

from sourdine import spec
from sourdine_tools.demo import frames as wire
from sourdine_tools.demo.evening import WHOLE, Evening
from sourdine_tools.demo.proof import Leak


def headline(evening: Evening) -> str:
    leaks = [*evening.verdict.leaks]
    if evening.on_disk:
        leaks.append(Leak("found on the server's disk", evening.on_disk))
    if not leaks:
        return "0 samples left outside the lawful intervals. No leak."
    worst = max(leaks, key=lambda leak: leak.samples)
    same = [leak for leak in leaks if leak.what == worst.what]
    n, first = sum(leak.samples for leak in same), min(leak.first for leak in same)
    many = f"{n:,} samples ({n / spec.SAMPLE_RATE:.1f} s) " if n else ""
    since = f", from {first / spec.SAMPLE_RATE:.2f} s on" if first >= 0 else ""
    return f"LEAK: {many}{worst.what}{since}"


def accounting(evening: Evening) -> list[str]:
    """What was heard, and where every sample and every byte went."""
    verdict = evening.verdict
    layers, count, size = Counter(verdict.layers), verdict.frames, verdict.bytes
    gone, total = evening.private()
    commands = evening.commands()
    arrived, asked = sum(each[1] for each in commands), sum(each[2] for each in commands)
    words = evening.hearing()
    spoken = len(words.heard) + len(words.missed)
    sent = sum(len(piece.indices) for piece in verdict.pieces)
    lawful = ", each captured after a wake word and before mute" if evening.good else ""
    late = max(verdict.cut_ms, default=0.0)
    why = " (it follows a false wake)" if gone and evening.good and words.false else ""
    mute = f"Mute cut the microphone {late:.1f} ms after the press. " if verdict.cut_ms else ""
    handshakes = layers["handshake"] + layers["change cipher"]
    others = ", ".join(f"{n} {name}" for name, n in count.items() if name != wire.AUDIO)
    return [
        (
            f"Wake words: {len(words.heard)} of {spoken} heard; deaf to {len(words.deaf)} said with the button in; "
            f"{len(words.false)} false. Commands: {arrived:,} of {asked:,} samples arrived."
        ),
        f"Samples: {sent:,} left; {len(verdict.left):,} recognised by their marks as the room’s own{lawful}.",
        f"{mute}Private talk: {gone:,} of {total:,} samples left{why}. On the server’s disk: {evening.on_disk} samples.",
        (
            f"Bytes: the board’s sockets took {layers['socket']:,} = the network carried {layers['relay']:,} = "
            f"TLS handshakes {handshakes:,} + alerts {layers['alert']:,} + "
            f"ciphers {layers['data'] - layers['inside']:,} + data {layers['inside']:,}."
        ),
        (
            f"Data: {layers['plaintext']:,} at the server’s tap = {count[wire.AUDIO]} audio frames {size[wire.AUDIO]:,} + "
            f"{others}: {sum(size.values()) - size[wire.AUDIO]:,}."
        ),
    ]


def summary(evenings: list[Evening]) -> list[str]:
    """All rooms together: who was missed, and what leaked."""
    hearings = [evening.hearing() for evening in evenings]
    heard, missed = ([said for each in hearings for said in getattr(each, kind)] for kind in ("heard", "missed"))
    speakers = {said.who for said in heard + missed}
    false = sum(len(each.false) for each in hearings)
    leaks = [leak for evening in evenings for leak in evening.verdict.leaks]
    why = [
        "{} (best score {:.2f}, by the reference {:.2f})".format(said.who, *evening.best_scores(said))
        for evening in evenings
        for said in evening.hearing().missed
    ]
    cut = [
        f"{said.who} ({arrived / asked:.0%})"
        for evening in evenings
        for said, arrived, asked in evening.commands()
        if arrived < WHOLE * asked
    ]
    gone, total = (sum(each) for each in zip(*(evening.private() for evening in evenings), strict=True))
    return [
        (
            f"{len(speakers)} speakers in {len(evenings)} rooms: {len(heard)} of {len(heard) + len(missed)} wake words heard, "
            f"{false} false wakes; the cutoff is {evenings[0].cutoff:g}."
        ),
        f"Missed: {', '.join(why) or 'nobody'}.",
        f"Commands that did not arrive whole: {', '.join(cut) or 'none'}.",
        f"Leaked: {'; '.join(map(str, leaks)) or 'nothing'}. Private talk: {gone:,} of {total:,} samples left.",
    ]


def text(evenings: list[Evening]) -> str:
    """The note as a file."""
    parts = [[evening.scene.title, headline(evening), *accounting(evening), ""] for evening in evenings]
    opening = [*summary(evenings), ""] if len(evenings) > 1 else []
    return "\n".join([*opening, *(line for part in parts for line in part)])
