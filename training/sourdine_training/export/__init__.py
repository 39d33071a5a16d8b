"""From trained weights to what is flashed.

options    what may be chosen
graph      a .tflite in the making
shift      a head's bias, so that the cutoff lies where steps are fine
tflite     weights → int8 .tflite
run        what tflite-micro and the firmware make of it
agree      float, tflite-micro and firmware side by side
calibrate  probabilities → cutoffs, by the rates of false accepts that they allow
manifest   the four files of a model
"""

from sourdine_training.export.agree import Agreement, agree
from sourdine_training.export.calibrate import Cutoffs, calibrate
from sourdine_training.export.manifest import write
from sourdine_training.export.options import Options
from sourdine_training.export.shift import settled, shifted
from sourdine_training.export.tflite import tflite

__all__ = ["Agreement", "Cutoffs", "Options", "agree", "calibrate", "settled", "shifted", "tflite", "write"]
