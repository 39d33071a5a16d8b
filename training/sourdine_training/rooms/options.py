"""How varied the scenes are."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Options:
    """Shares are of scenes; pairs are the ends of a range."""

    rooms: int = 320  # simulated, for training; a quarter as many validate
    close: float = 0.4  # no room: lips at the microphone
    clean: float = 0.65  # nearly: most people stand near, and most rooms are quiet
    clean_db: tuple[float, float] = (28.0, 78.0)
    snr_db: tuple[float, float] = (-5.0, 20.0)  # of the others; most lie in the upper half
    distance_m: tuple[float, float] = (0.2, 5.0)
    reverberation_s: tuple[float, float] = (0.12, 0.9)  # T60
    peak_dbfs: tuple[float, float] = (-45.0, -1.0)  # most lie above -20
    floor_dbfs: tuple[float, float] = (-96.0, -72.0)  # the microphone's own noise; -96 is half a step of int16
    equaliser_db: float = 8.0  # at most, up or down
    speed: tuple[float, float] = (0.88, 1.14)  # of the foreground, by resampling: pitch and formants go with it
    inmp441: float = 0.2  # our own microphone; the others are drawn
    narrow: float = 0.1  # a device or codec that lets 3.4 to 7 kHz through
    agc: float = 0.25
    clipped: float = 0.08
    gated: float = 0.12  # what is softer than speech is turned down, nearly to nothing
    suppressed: float = 0.12  # holes as a noise suppressor or a perceptual codec leaves them
    mulaw: float = 0.04
    mp3: float = 0.04  # through the real codec
    click: float = 0.03  # of the relay, after an unmute
