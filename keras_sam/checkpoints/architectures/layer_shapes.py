"""Names and shapes of the weights of single layers, in the layout of Keras."""

import itertools
from collections.abc import Sequence

Shapes = dict[str, tuple[int, ...]]


def kernel_and_bias(name: str, kernel: tuple[int, ...]) -> Shapes:
    """Return the weights of a dense layer or a convolution."""
    return {f"{name}/kernel": kernel, f"{name}/bias": kernel[-1:]}


def transposed_convolution(name: str, inputs: int, outputs: int) -> Shapes:
    """Return the weights of a transposed convolution of kernel size 2."""
    return {f"{name}/kernel": (2, 2, outputs, inputs), f"{name}/bias": (outputs,)}


def layer_norm(name: str, width: int) -> Shapes:
    """Return the weights of a layer norm."""
    return {f"{name}/gamma": (width,), f"{name}/beta": (width,)}


def mlp(name: str, widths: Sequence[int]) -> Shapes:
    """Return the weights of dense layers, each from one width to the next."""
    shapes: Shapes = {}
    for index, kernel in enumerate(itertools.pairwise(widths), start=1):
        shapes |= kernel_and_bias(f"{name}/dense{index}", kernel)
    return shapes


def neck(name: str, inputs: int, outputs: int) -> Shapes:
    """Return the weights of the two convolutions after an image encoder."""
    shapes: Shapes = {f"{name}/conv1/kernel": (1, 1, inputs, outputs)}
    shapes |= layer_norm(f"{name}/layer_norm1", outputs)
    shapes[f"{name}/conv2/kernel"] = (3, 3, outputs, outputs)
    return shapes | layer_norm(f"{name}/layer_norm2", outputs)


def prefixed(prefix: str, shapes: Shapes) -> Shapes:
    """Return the weights of a part under its name."""
    return {f"{prefix}/{name}": shape for name, shape in shapes.items()}
