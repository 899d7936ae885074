"""`sigmoid` and `logit` against SciPy, and for extreme values."""

import numpy as np
import pytest
import scipy.special

from keras_sam.transforms.logits import BACKGROUND_LOGIT, MAX_PROBABILITY, logit, sigmoid


@pytest.mark.parametrize(("dtype", "atol"), [(np.float32, 2e-7), (np.float64, 1e-15)])
def test_sigmoid_equals_scipy(dtype, atol):
    logits = np.linspace(-30, 30, 1001, dtype=dtype)
    probabilities = sigmoid(logits)
    assert probabilities.dtype == dtype
    np.testing.assert_allclose(probabilities, scipy.special.expit(logits), rtol=0, atol=atol)


def test_logit_equals_scipy():
    probabilities = np.linspace(1e-5, 1 - 1e-5, 1001, dtype=np.float32)
    logits = logit(probabilities)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, scipy.special.logit(probabilities), atol=1e-4)


def test_logit_inverts_sigmoid():
    logits = np.linspace(-9, 9, 101, dtype=np.float32)
    np.testing.assert_allclose(logit(sigmoid(logits)), logits, atol=2e-3)


def test_extreme_logits_do_not_overflow():
    logits = np.array([-np.inf, -1e30, -200, 200, 1e30, np.inf], np.float32)
    np.testing.assert_array_equal(sigmoid(logits), [0, 0, 0, 1, 1, 1])


def test_logits_of_certain_pixels_are_finite_and_symmetric():
    low, high = logit(np.array([0, 1], np.float32))
    assert (low, high) == pytest.approx((-16.6, 16.6), abs=0.1)
    assert np.nextafter(np.float32(1), np.float32(0)) == MAX_PROBABILITY


def test_background_logit_survives_the_round_trip():
    assert logit(sigmoid(BACKGROUND_LOGIT)) == pytest.approx(BACKGROUND_LOGIT, abs=0.1)
