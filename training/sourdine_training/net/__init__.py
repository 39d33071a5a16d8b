"""The nets: a small spotter that hears every 30 ms, and a larger verifier that it may ask.

options   sizes, and the stack of layers that they mean
stack     layers, and what follows from them: multiplications, reach, steps
graph     the stack in TensorFlow, for training: batch normalisation, then folded and fake-quantised
quant     what int8 does to a number
weights   a trained net in one file, normalisation folded away
score     features → probabilities in NumPy
stream    the same weights step by step, with state: what is exported
"""

from sourdine_training.net.options import Options, VerifierOptions
from sourdine_training.net.score import score
from sourdine_training.net.weights import Weights

__all__ = ["Options", "VerifierOptions", "Weights", "score"]
