"""What is wanted of the spotter's logits.

The word: the maximum of the logits, in a few steps around its end, says yes (max-pooling loss: Sun et al.,
arXiv:1705.02411, tied to the ending as in Hou et al., "Mining Effective Negative Training Samples for Keyword
Spotting", ICASSP 2020). Everything else says no, and what is learned from most are the hardest steps of separate
regions (the same paper's regional hard examples). Steps shortly before and after the word's own are asked nothing.
All is asked of the mean of the probabilities of `window` steps, because that is what decides on the board.
"""

import math
from typing import Any

from sourdine_training.fit.options import Options

REGION = 4  # steps, of each of which the worst counts
HARDEST = 2  # regions that count
FAR = -1e9


def spotter(tf: Any, options: Options, logits: Any, first: int, end: Any, caution: Any) -> tuple[Any, Any, Any]:
    """(loss, its part from words, its part from all else).

    logits [B, n] of steps `first`…; end int32 [B], step of the word's end or -1; caution = weight of the second
    part.
    """
    o = options
    says, denies = (
        tf.reduce_logsumexp(_spans(tf, tf.math.log_sigmoid(each), o.window), 0) for each in (logits, -logits)
    )
    says, denies = says - math.log(o.window), denies - math.log(o.window)  # logarithms of the mean and of 1 - it
    count = int(says.shape[1])
    since = tf.range(count)[None, :] + (first + o.window - 1) - end[:, None]
    word = (end >= 0)[:, None]
    inside = word & (since >= -o.before) & (since <= o.after)
    said = tf.reduce_any(inside, 1)
    top = tf.argmax(tf.where(inside, says, FAR), 1)
    yes = -(1 - o.smoothing) * tf.gather(says, top, batch_dims=1) - o.smoothing * tf.gather(denies, top, batch_dims=1)
    # a word whose end no step hears teaches nothing
    yes = tf.math.divide_no_nan(tf.reduce_sum(tf.where(said, yes, 0.0)), tf.reduce_sum(tf.cast(said, tf.float32)))

    outside = ~word | (since < -o.before - o.guard) | (since > o.after + o.guard)
    wrong = tf.where(outside, -denies, 0.0)
    mean = tf.math.divide_no_nan(tf.reduce_sum(wrong), tf.reduce_sum(tf.cast(outside, tf.float32)))
    regions = count // REGION
    worst = tf.reduce_max(tf.reshape(wrong[:, count - regions * REGION :], (-1, regions, REGION)), 2)
    no = mean + tf.reduce_mean(tf.math.top_k(worst, min(HARDEST, regions)).values)
    return yes + caution * no, yes, no


def _spans(tf: Any, values: Any, window: int) -> Any:
    """[window, B, n - window + 1]: each step and those after it."""
    return tf.stack([values[:, k : values.shape[1] - window + 1 + k] for k in range(window)])


def verifier(tf: Any, smoothing: float, logits: Any, label: Any, caution: Any) -> tuple[Any, Any, Any]:
    """The same three; logits [B, 1], label float32 [B] 0 or 1."""
    each = tf.nn.sigmoid_cross_entropy_with_logits(label * (1 - 2 * smoothing) + smoothing, logits[:, 0])
    yes = tf.math.divide_no_nan(tf.reduce_sum(each * label), tf.reduce_sum(label))
    no = tf.math.divide_no_nan(tf.reduce_sum(each * (1 - label)), tf.reduce_sum(1 - label))
    return yes + caution * no, yes, no
