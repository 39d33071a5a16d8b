"""The proof in words: the same few lines in the picture, on the page and on the terminal."""

from collections import Counter

from sourdine_tools.demo import frames as wire
from sourdine_tools.demo.evening import Evening
from sourdine_tools.demo.proof import Leak


def headline(evening: Evening) -> str:
    leaks = [*evening.verdict.leaks]
    if evening.on_disk:
        leaks.append(Leak("found on the server's disk", evening.on_disk))
    if not leaks:
        return "0 samples left outside the lawful intervals. No leak."
    worst = max(leaks, key=lambda leak: leak.samples)
    more = f" (and {len(leaks) - 1} more)" if len(leaks) > 1 else ""
    return f"LEAK: {worst}{more}"


def accounting(evening: Evening) -> list[str]:
    """What was heard, and where every sample and every byte went."""
    verdict = evening.verdict
    layers, count, size = Counter(verdict.layers), verdict.frames, verdict.bytes
    gone, total = evening.private()
    arrived, asked = evening.commands()
    words = evening.hearing()
    spoken = len(words.heard) + len(words.missed)
    sent = sum(len(piece.indices) for piece in verdict.pieces)
    lawful = ", each captured after a wake word and before mute" if evening.good else ""
    handshakes = layers["handshake"] + layers["change cipher"]
    others = ", ".join(f"{n} {name}" for name, n in count.items() if name != wire.AUDIO)
    return [
        (
            f"Wake words: {len(words.heard)} of {spoken} heard; deaf to {len(words.deaf)} said with the button in; "
            f"{len(words.false)} false. Commands: {arrived:,} of {asked:,} samples arrived."
        ),
        f"Samples: {sent:,} left; {len(verdict.left):,} recognised by their marks as the room’s own{lawful}.",
        f"Private talk: {gone:,} of {total:,} samples left. On the server’s disk: {evening.on_disk} samples.",
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
