"""The gate's promise over every history of four events, on the interpreter that ships."""

from sourdine.gate import OPEN, Gate

EVENTS = ("unmute", "mute", "play", "quiet", "wake", "silence", "link", "block")
BLOCK = memoryview(bytearray(320))


class Outlet:
    def __init__(self):
        self.left = 0
        self.open = False

    def begin(self, first):
        self.open = True
        return True

    def audio(self, samples):
        assert self.open
        self.left += 1
        return True

    def end(self, reason):
        self.open = False

    def discard(self):
        pass


def histories(length):
    if not length:
        yield ()
        return
    for rest in histories(length - 1):
        for event in EVENTS:
            yield rest + (event,)


def test_audio_leaves_only_between_a_wake_and_its_end():
    for history in histories(4):
        outlet = Outlet()
        gate = Gate(outlet)
        gate.tell("unmute")
        gate.tell("quiet")
        lawful = False
        for event in history:
            before = outlet.left
            if event == "wake":
                lawful = gate.wake(0) or lawful
            elif event == "block":
                gate.offer(0, BLOCK)
                assert (outlet.left > before) == lawful, history
            else:
                gate.tell(event)
                lawful = lawful and event not in ("mute", "silence", "link")
        assert (gate.state is OPEN) == lawful == outlet.open, history


def test_a_block_from_before_the_fence_stays():
    gate = Gate(Outlet())
    gate.tell("unmute")
    gate.tell("quiet")
    assert gate.wake(1000)
    assert not gate.offer(840, BLOCK)
    assert gate.offer(1000, BLOCK)
