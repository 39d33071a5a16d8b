"""Makes the wake-word model: words, voices, rooms, training, export."""

import os

# The matrices here are small: OpenBLAS's threads wait for each other ten times as long as they compute. Heard only
# where NumPy was not imported before.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
