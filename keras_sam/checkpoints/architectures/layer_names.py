"""`LayerNames`: what each checkpoint format calls a layer."""

from typing import NamedTuple

from keras_sam.checkpoints.torch_layout import TORCH_VARIABLES

# Keras names the variables of a layer by the order of their creation. All others come first.
SECOND_VARIABLES = ("bias", "beta", "rel_pos_w")


class LayerNames(NamedTuple):
    """Names of one layer of an image encoder, relative to the encoder.

    Attributes:
        meta: Name in Meta's checkpoints.
        transformers: Name in transformers.
        keras_hub: Path in the HDF5 files of keras-hub.
    """

    meta: str
    transformers: str
    keras_hub: str


# The two convolutions with layer norms after an image encoder.
NECK = {
    "neck/conv1": LayerNames("neck.0", "neck.conv1", "sequential/layers/conv2d"),
    "neck/layer_norm1": LayerNames(
        "neck.1", "neck.layer_norm1", "sequential/layers/layer_normalization"
    ),
    "neck/conv2": LayerNames("neck.2", "neck.conv2", "sequential/layers/conv2d_1"),
    "neck/layer_norm2": LayerNames(
        "neck.3", "neck.layer_norm2", "sequential/layers/layer_normalization_1"
    ),
}


def split_name(name: str) -> tuple[str, str]:
    """Split the name of a weight into its layer and its variable, such as "kernel"."""
    layer, _, variable = name.rpartition("/")
    return layer, variable


def torch_tensor(layer: str, variable: str) -> str:
    """Return the name of a tensor in PyTorch.

    Args:
        layer: Name of the layer in PyTorch.
        variable: Name of the variable in Keras.
    """
    return f"{layer}.{TORCH_VARIABLES.get(variable, variable)}"


def keras_variable(layer: str, variable: str) -> str:
    """Return the path of a variable in an HDF5 file of Keras.

    Args:
        layer: Path of the layer.
        variable: Name of the variable; empty if the layer has a single one.
    """
    return f"{layer}/vars/{1 if variable in SECOND_VARIABLES else 0}"


def numbered(name: str, index: int) -> str:
    """Return the name that Keras gives to the layer `index` of its class, counted from zero."""
    return f"{name}_{index}" if index else name
