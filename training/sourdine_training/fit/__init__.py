"""Training: the spotter on a pool, then the verifier on what the spotter lets through.

options   what a training is told
feed      batches: a pure function of seed, step and the hard set
loss      what is wanted of the logits, and when
learner   the vectors that learn, and one step of it
loop      steps, checkpoints, validation, curves; killed at any moment it goes on where it was
mining    where a net fires and should not
quality   misses at stated false accepts per hour
spotter, verifier   the two trainings
"""

from sourdine_training.fit.loop import Trained
from sourdine_training.fit.options import Options, VerifierOptions
from sourdine_training.fit.spotter import train
from sourdine_training.fit.verifier import train_verifier
from sourdine_training.net.score import score

__all__ = ["Options", "Trained", "VerifierOptions", "score", "train", "train_verifier"]
