"""Numbers that every room agrees on. Imports nothing; a change here is a wire and model change."""

SAMPLE_RATE = 16_000  # Hz, mono, signed 16 bit
HOP = 160  # samples, 10 ms: one block of the microphone, one frontend step
WINDOW = 480  # samples, 30 ms
CHANNELS = 40  # mel channels of a feature vector
MIC_SHIFT = 13  # bits: an INMP441 word (24 bits on top of 32) >> 13 is a sample; 8 x gain, saturating
FRAMES = 1 << 28  # frame numbers count round this, 4.7 h: with room for sums they stay small ints (31 bits), no garbage
DMA_FRAMES = 256  # frames the I2S peripheral hands over at once, 16 ms

SESSION_MAX = 15 * SAMPLE_RATE  # samples: the hard cap of one session
LINK_TIMEOUT_MS = 2_500  # without an answer from the server, a stream is over (the promise is 3 s)
DEAF_AFTER_PLAY_MS = 500  # no wake is accepted while the speaker plays, and for this long after

# Why a session ended; on the wire and in both ledgers.
SILENCE = 1  # end of speech, decided on the device
MUTE = 2  # the button, or any loss of the microphone's contact
LINK = 3  # the server stopped answering, or the queue to it was full
CAP = 4  # SESSION_MAX
SERVER = 5  # the server asked for an earlier end
FAULT = 6  # the board failed its own proof
POWER = 7  # found open at boot: power or program was lost in mid-session
REASONS = {
    SILENCE: "silence",
    MUTE: "mute",
    LINK: "link lost",
    CAP: "cap",
    SERVER: "server",
    FAULT: "fault",
    POWER: "power lost",
}
