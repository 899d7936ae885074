"""Converted weights compute what the layers of PyTorch compute."""

import numpy as np
import pytest
import torch

from keras_sam.checkpoints.torch_layout import to_keras_layout, to_torch_layout, torch_shape


def numpy_weight(layer):
    return layer.weight.detach().numpy()


def pixels(channels):
    return np.random.default_rng(0).normal(size=(5, 6, channels)).astype("float32")


def torch_output(layer, image):
    """The output `(h, w, out)` of a layer for an image `(h, w, in)`."""
    with torch.no_grad():
        return layer(torch.tensor(image.transpose(2, 0, 1))[None])[0].numpy().transpose(1, 2, 0)


def test_dense_kernel():
    layer = torch.nn.Linear(3, 4, bias=False)
    kernel = to_keras_layout("a/kernel", numpy_weight(layer))
    x = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")
    np.testing.assert_allclose(x @ kernel, layer(torch.tensor(x)).detach(), atol=1e-6)


def test_convolution_kernel():
    layer, image = torch.nn.Conv2d(3, 4, 2, bias=False), pixels(3)
    kernel = to_keras_layout("a/kernel", numpy_weight(layer))
    patches = np.lib.stride_tricks.sliding_window_view(image, (2, 2), axis=(0, 1))
    expected = np.einsum("yxchw,hwco->yxo", patches, kernel)
    np.testing.assert_allclose(torch_output(layer, image), expected, atol=1e-6)


def test_transposed_convolution_kernel():
    layer, image = torch.nn.ConvTranspose2d(3, 4, 2, stride=2, bias=False), pixels(3)
    kernel = to_keras_layout("conv_transpose1/kernel", numpy_weight(layer))
    expected = np.einsum("yxi,hwoi->yhxwo", image, kernel).reshape(10, 12, 4)
    np.testing.assert_allclose(torch_output(layer, image), expected, atol=1e-6)


def test_depthwise_kernel():
    layer, image = torch.nn.Conv2d(3, 3, 2, groups=3, bias=False), pixels(3)
    kernel = to_keras_layout("a/depthwise/kernel", numpy_weight(layer))
    patches = np.lib.stride_tricks.sliding_window_view(image, (2, 2), axis=(0, 1))
    expected = np.einsum("yxchw,hwcm->yxc", patches, kernel)
    np.testing.assert_allclose(torch_output(layer, image), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("a/kernel", (3, 4)),
        ("a/kernel", (2, 5, 3, 4)),
        ("a/depthwise/kernel", (2, 5, 3, 1)),
        ("a/bias", (4,)),
        ("position_embedding", (1, 2, 3, 4)),
    ],
)
def test_layouts_are_inverse(name, shape):
    array = np.arange(np.prod(shape)).reshape(shape)
    tensor = to_torch_layout(name, array)
    assert tensor.flags.c_contiguous
    assert tensor.shape == torch_shape(name, shape)
    np.testing.assert_array_equal(to_keras_layout(name, tensor), array)
