"""Logits and their probabilities."""

import numpy as np

MOST_CERTAIN = np.float32(1 - 2**-24)  # the probability next to 1, a logit of 16.6
OUTSIDE = np.float32(-16)  # logits where no mask may be


def to_probabilities(logits: np.ndarray) -> np.ndarray:
    """The logistic function, written so that nothing overflows."""
    return (1 + np.tanh(logits / 2)) / 2


def to_logits(probabilities: np.ndarray) -> np.ndarray:
    """The inverse of `to_probabilities`, finite."""
    inside = np.clip(probabilities, 1 - MOST_CERTAIN, MOST_CERTAIN)
    return np.log(inside / (1 - inside))
