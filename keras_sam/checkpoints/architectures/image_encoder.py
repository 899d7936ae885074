"""`ImageEncoderFormat`: one image encoder in every checkpoint format."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_sam.checkpoints.architectures.argument import Argument
from keras_sam.checkpoints.architectures.layer_shapes import Shapes
from keras_sam.checkpoints.architectures.tensor_shapes import TensorShapes

Config = Mapping[str, Any]


@dataclass(frozen=True)
class KerasHubEncoder:
    """An image encoder in preset directories of keras-hub.

    Attributes:
        weight_path: Function from the name of a weight to its path in the HDF5 file, relative to
            `layers/`.
        module: Module of keras-hub that defines the class, or `None` if keras-hub has no such
            class.
        extra_arguments: Arguments that the class of keras-hub lacks. A model that uses one is
            saved as a class of this package.
    """

    weight_path: Callable[[str], str]
    module: str | None = None
    extra_arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class MetaEncoder:
    """An image encoder in files with Meta's tensor names, which contain no config.

    Attributes:
        signature: Tensor that every such file has, and no file with another encoder.
        parse_config: Function from the shapes of all tensors to constructor arguments.
        tensor_name: Function from the name of a weight to the name of its tensor.
        ignored: Pattern of tensors that a file may have and the model does not use.
        normalize_config: Function that replaces arguments without any effect by the values that
            `parse_config` returns for the same model.
    """

    signature: str
    parse_config: Callable[[TensorShapes], dict[str, Any]]
    tensor_name: Callable[[str], str]
    ignored: re.Pattern[str] | None = None
    normalize_config: Callable[[Config], Config] = lambda config: config


@dataclass(frozen=True)
class TransformersEncoder:
    """An image encoder in directories of transformers.

    Attributes:
        model_types: Values of `model_type` whose models have this encoder.
        fixed: Keys of `vision_config` whose values the code of transformers implies.
        parse_config: Function from a `vision_config` and the name of its preset to constructor
            arguments.
        build_config: Inverse of `parse_config`.
        tensor_name: Function from the name of a weight to the name of its tensor.
    """

    model_types: tuple[str, ...]
    fixed: Mapping[str, Any]
    parse_config: Callable[[Config, str], dict[str, Any]]
    build_config: Callable[[Config], dict[str, Any]]
    tensor_name: Callable[[str], str]


@dataclass(frozen=True)
class ImageEncoderFormat:
    """One image encoder in every checkpoint format.

    Names of weights are relative to the encoder, such as `neck/conv1/kernel`. A config contains
    every argument of `arguments`, at least `image_shape`, and `name`, `trainable` and `dtype`.

    Attributes:
        module: Module of this package that defines the Keras class.
        arguments: Constructor arguments by name.
        weight_shapes: Function from a config to the shape of each weight, in order.
        keras_hub: The encoder in preset directories of keras-hub, which every encoder needs.
        meta: The encoder in files with Meta's tensor names, or `None` if there are none.
        transformers: The encoder in transformers, or `None` if transformers has no such model.
        default_patch_size: Pixels of an image per token of its embedding, for an encoder without
            an argument `patch_size`.
        position_tables: Interpolation of the weights that depend on the image size, by the last
            part of their names: "bicubic" for tables `(1, H, W, C)`, "linear" for `(L, C)`.
    """

    module: str
    arguments: Mapping[str, Argument]
    weight_shapes: Callable[[Config], Shapes]
    keras_hub: KerasHubEncoder
    meta: MetaEncoder | None = None
    transformers: TransformersEncoder | None = None
    default_patch_size: int = 16
    position_tables: Mapping[str, str] = field(default_factory=dict)

    def patch_size(self, config: Config) -> int:
        """Return the number of pixels of an image per token of its embedding."""
        return config.get("patch_size", self.default_patch_size)
