"""Both ways of upsampling, against PyTorch."""

import numpy as np
import pytest

from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.postprocessing import Postprocessing
from keras_sam.transforms.preprocessing import Preprocessing

MEDSAM = Preprocessing(resize="stretch"), Postprocessing(upsample_in="probabilities")


@pytest.mark.parametrize("original", [(13, 21), (150, 97), (64, 64), (1, 90), (200, 260)])
def test_stretched_probabilities_are_interpolated_like_medsams(original):
    """MedSAM interpolates probabilities to the original size at once and cuts them at 0.5."""
    import torch

    transform = ImageTransform(original, (64, 64), *MEDSAM)
    low_res = np.random.default_rng(1).normal(size=(2, 3, 16, 16), scale=8).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.sigmoid(torch.from_numpy(low_res)), original, mode="bilinear", align_corners=False
    ).numpy()
    logits = transform.postprocess_logits(low_res)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(1 / (1 + np.exp(-logits.astype(float))), expected, atol=1e-6)
    for threshold, probability in ((0.0, 0.5), (1.0, 1 / (1 + np.exp(-1)))):
        masks = transform.postprocess_masks(low_res, threshold=threshold)
        is_clear = np.abs(expected - probability) > 1e-6
        np.testing.assert_array_equal(masks[is_clear], (expected > probability)[is_clear])
        np.testing.assert_array_equal(masks[is_clear], (logits > threshold)[is_clear])


def test_padded_probabilities_are_interpolated_twice():
    import torch

    transform = ImageTransform((30, 50), (64, 64), postprocessing=MEDSAM[1])
    low_res = np.random.default_rng(1).normal(size=(1, 2, 16, 16), scale=4).astype(np.float32)

    def interpolate(values, size):
        return torch.nn.functional.interpolate(values, size, mode="bilinear", align_corners=False)

    height, width = transform.input_size
    expected = interpolate(torch.sigmoid(torch.from_numpy(low_res)), (64, 64))
    expected = interpolate(expected[..., :height, :width], (30, 50)).numpy()
    logits = transform.postprocess_logits(low_res).astype(float)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), expected, atol=1e-6)


def test_the_two_quantities_give_different_masks():
    low_res = np.array([[-2.0, 20.0]] * 2, np.float32)
    areas = [
        ImageTransform((16, 16), (16, 16), postprocessing=Postprocessing(upsample_in=quantity))
        .postprocess_masks(low_res)
        .sum()
        for quantity in ("logits", "probabilities")
    ]
    assert areas[0] > areas[1]


def test_logits_of_certain_pixels_stay_finite():
    low_res = np.array([[-1e30, 1e30], [-200, 200]], np.float32)
    logits = ImageTransform((4, 4), (8, 8), *MEDSAM).postprocess_logits(low_res)
    assert np.isfinite(logits).all()
    assert (logits.min(), logits.max()) == pytest.approx((-16.6, 16.6), abs=0.1)


@pytest.mark.parametrize("value", ["nearest", None, ["logits"], 3])
def test_other_values_raise(value):
    with pytest.raises(ValueError, match="upsample_in must be one of logits, probabilities"):
        Postprocessing(upsample_in=value)
