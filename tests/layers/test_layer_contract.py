"""The contract of all layers: saving, precision, shapes, gradients, arguments, backends.

The numbers of each layer are tested in the module of the same name. The outputs in
layer_outputs.json, which must be the same on every backend, are recorded by
`python -m tests.layers.test_layer_contract`.
"""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops, tree

from keras_sam.layers.conv_norm import ConvNorm
from keras_sam.layers.convolutional_stem import ConvolutionalStem
from keras_sam.layers.downsampled_attention import DownsampledAttention
from keras_sam.layers.high_quality_branch import HighQualityBranch, PixelRefiner
from keras_sam.layers.mask_downscaler import MaskDownscaler
from keras_sam.layers.mask_upscaler import ConvTranspose2x2, MaskUpscaler
from keras_sam.layers.mbconv import MBConv
from keras_sam.layers.mlp import MLP
from keras_sam.layers.neck import Neck
from keras_sam.layers.patch_embedding import PatchEmbedding
from keras_sam.layers.patch_merging import PatchMerging
from keras_sam.layers.relative_position_attention import RelativePositionAttention
from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from keras_sam.layers.sam_prompt_encoder import SAMPromptEncoder
from keras_sam.layers.tiny_vit_block import TinyViTBlock
from keras_sam.layers.two_way_transformer import TwoWayBlock, TwoWayTransformer
from keras_sam.layers.vit_block import ViTBlock
from keras_sam.layers.window_attention import WindowAttention

RECORD = Path(__file__).with_name("layer_outputs.json")


def call_by_name(layer: keras.layers.Layer, inputs: dict[str, Any]) -> Any:
    return layer(**inputs)


def call_block(layer: TwoWayBlock, inputs: dict[str, Any]) -> Any:
    cache = layer.decoder_cache(inputs["image"], inputs["positions"])
    return layer(inputs["tokens"], cache, inputs["tokens"] * 0.5)


def call_transformer(layer: TwoWayTransformer, inputs: dict[str, Any]) -> Any:
    cache = layer.blocks[0].decoder_cache(inputs["image"], inputs["positions"])
    return layer(cache, inputs["tokens"])


def call_high_quality_branch(layer: HighQualityBranch, inputs: dict[str, Any]) -> Any:
    hq_features = layer.hq_features(inputs["embeddings"], inputs["early"])
    tokens = ops.add(inputs["tokens"], ops.cast(layer.token, inputs["tokens"].dtype))
    return layer(tokens, inputs["pixels"], hq_features, prompts=2)


def call_prompt_encoder(layer: SAMPromptEncoder, inputs: dict[str, Any]) -> Any:
    """Encode two prompts with every label. One of them has a mask, of the size for the layer."""
    height, width = layer.image_embedding_size
    ramp = ops.reshape(ops.arange(16 * height * width, dtype="float32"), (4 * height, 4 * width))
    mask = ops.sin(ramp / 7.0)[None, None, :, :, None]
    masks = ops.concatenate([mask, ops.full_like(mask, float("nan"))], axis=1)
    return layer(**inputs, labels=np.array([[[1, 0, -1, 2, 3]] * 2]), masks=masks)


@dataclass(frozen=True)
class Case:
    """A layer, its inputs, and two values for each argument of its constructor.

    Attributes:
        layer: Class of the layer.
        arguments: Arguments of the constructor.
        changed: Another value for each argument.
        inputs: Shape of each array for `call`.
        call: Function that calls the layer with the arrays.
        coupled: Arguments that can only change together.
    """

    layer: type[keras.layers.Layer]
    arguments: dict[str, Any]
    changed: dict[str, Any]
    inputs: dict[str, tuple[int, ...]]
    call: Callable[[Any, dict[str, Any]], Any] = call_by_name
    coupled: tuple[str, ...] = field(default=())

    def make(self, dtype: str | None = None, **changes: Any) -> keras.layers.Layer:
        layer = self.layer(**self.arguments | changes, dtype=dtype)
        layer.build(next(iter(self.inputs.values())))
        for index, weight in enumerate(layer.weights):
            values = np.random.default_rng(index).normal(0.0, 0.3, weight.shape)
            if weight.name == "moving_variance":
                values = 0.5 + np.abs(values)
            weight.assign(values.astype("float32"))
        return layer

    def arrays(self) -> dict[str, Any]:
        rng = np.random.default_rng(7)
        return {
            name: ops.convert_to_tensor(rng.uniform(0.0, 2.0, shape).astype("float32"))
            for name, shape in self.inputs.items()
        }

    def output(self, layer: keras.layers.Layer) -> list[np.ndarray]:
        outputs = tree.flatten(self.call(layer, self.arrays()))
        return [np.asarray(ops.convert_to_numpy(output), "float32") for output in outputs]


ATTENTION_CHANGES = {
    "grid_size": [4, 5],
    "window_size": 2,
    "use_bias": False,
    "use_rel_pos": False,
}
TOKENS_AND_IMAGE = {"tokens": (1, 1, 4, 8), "image": (1, 6, 8), "positions": (1, 6, 8)}

CASES = [
    Case(
        ViTBlock,
        {"num_heads": 2, "intermediate_dim": 6, "grid_size": [3, 5], "hidden_size": 8},
        ATTENTION_CHANGES
        | {"num_heads": 4, "intermediate_dim": 7, "hidden_size": 4}
        | {"layer_norm_epsilon": 0.5, "activation": "relu"},
        {"grid": (1, 3, 5, 8)},
    ),
    Case(
        RelativePositionAttention,
        {"num_heads": 2, "head_dim": 4, "grid_size": [3, 5]},
        ATTENTION_CHANGES | {"num_heads": 4, "head_dim": 2, "output_dim": 3},
        {"grid": (1, 3, 5, 8)},
    ),
    Case(
        MLP,
        {"hidden_dim": 6, "output_dim": 5},
        {"hidden_dim": 7, "output_dim": 4, "num_layers": 3, "activation": "gelu"},
        {"inputs": (2, 3, 8)},
    ),
    Case(
        PatchEmbedding,
        {"hidden_size": 5, "patch_size": 2},
        {"hidden_size": 6, "patch_size": 4},
        {"images": (1, 4, 8, 3)},
    ),
    Case(Neck, {"num_output_channels": 6}, {"num_output_channels": 5}, {"grid": (1, 3, 5, 8)}),
    Case(
        MaskDownscaler,
        {"hidden_size": 6},
        {"hidden_size": 5, "mask_in_channels": 8, "activation": "relu"},
        {"masks": (1, 8, 12, 1)},
    ),
    Case(ConvTranspose2x2, {"filters": 3}, {"filters": 4}, {"tokens": (1, 6, 8)}),
    Case(
        MaskUpscaler,
        {"hidden_dim": 4, "output_dim": 2},
        {"hidden_dim": 6, "output_dim": 3, "activation": "relu", "activate_output": False},
        {"tokens": (1, 6, 16)},
    ),
    Case(
        PixelRefiner,
        {"hidden_dim": 4, "output_dim": 2},
        {"hidden_dim": 6, "output_dim": 3, "activation": "relu"},
        {"grid": (1, 3, 5, 2)},
    ),
    Case(
        HighQualityBranch,
        {"embedding_dim": 16, "early_feature_dim": 6},
        {"embedding_dim": 24, "early_feature_dim": 5, "activation": "relu"},
        {"tokens": (2, 16), "pixels": (2, 8, 12, 2)}
        | {"embeddings": (1, 2, 3, 16), "early": (1, 2, 3, 6)},
        call_high_quality_branch,
    ),
    Case(
        DownsampledAttention,
        {"hidden_size": 8, "num_heads": 2},
        {"hidden_size": 16, "num_heads": 3, "downsample_rate": 2},
        {"query": (2, 3, 8), "key": (2, 5, 8), "value": (2, 5, 8)},
    ),
    Case(
        TwoWayBlock,
        {"hidden_size": 8, "num_heads": 2, "intermediate_dim": 6},
        {"hidden_size": 16, "num_heads": 8, "intermediate_dim": 7, "is_first": True},
        TOKENS_AND_IMAGE,
        call_block,
    ),
    Case(
        TwoWayTransformer,
        {"num_layers": 2, "hidden_size": 8, "num_heads": 2, "intermediate_dim": 6},
        {"num_layers": 1, "hidden_size": 16, "num_heads": 8, "intermediate_dim": 7},
        TOKENS_AND_IMAGE,
        call_transformer,
    ),
    Case(
        ConvNorm,
        {"filters": 6, "kernel_size": 3},
        {"filters": None, "kernel_size": 1, "strides": 2, "use_batch_norm": False},
        {"grid": (1, 5, 6, 8)},
    ),
    Case(
        ConvolutionalStem,
        {"hidden_size": 6},
        {"hidden_size": 8, "use_batch_norm": False},
        {"images": (1, 8, 12, 3)},
    ),
    Case(
        MBConv,
        {"hidden_size": 4, "expansion": 2},
        {"hidden_size": 1, "expansion": 3, "use_batch_norm": False},
        {"grid": (1, 4, 5, 4)},
    ),
    Case(
        PatchMerging,
        {"output_dim": 6},
        {"output_dim": 5, "strides": 1, "use_batch_norm": False},
        {"grid": (1, 4, 6, 4)},
    ),
    Case(
        WindowAttention,
        {"num_heads": 2, "hidden_size": 8, "window_size": 2},
        {"num_heads": 4, "hidden_size": 4, "window_size": 3},
        {"grid": (1, 3, 5, 8)},
    ),
    Case(
        TinyViTBlock,
        {"num_heads": 2, "intermediate_dim": 6, "hidden_size": 8, "window_size": 2},
        {"num_heads": 4, "intermediate_dim": 7, "hidden_size": 4, "window_size": 3}
        | {"use_batch_norm": False},
        {"grid": (1, 3, 5, 8)},
    ),
    Case(
        SAMPromptEncoder,
        {"hidden_size": 8, "image_embedding_size": [2, 3], "input_image_size": [16, 24]},
        {"hidden_size": 10, "image_embedding_size": [3, 2], "input_image_size": [32, 24]}
        | {"mask_in_channels": 8, "activation": "relu"},
        {"points": (1, 2, 5, 2), "boxes": (1, 2, 2, 2)},
        call_prompt_encoder,
    ),
    Case(
        SAMMaskDecoder,
        {"hidden_size": 16, "embedding_dim": 16, "num_heads": 2, "intermediate_dim": 6}
        | {"iou_head_hidden_dim": 5, "early_feature_dim": 4},
        {"hidden_size": 32, "embedding_dim": 32, "num_heads": 16, "intermediate_dim": 7}
        | {"num_layers": 1, "num_multimask_outputs": 2, "iou_head_depth": 2}
        | {"iou_head_hidden_dim": 4, "activation": "relu"}
        | {"early_feature_dim": 8, "hq_token_only": True},
        {
            "image_embeddings": (1, 2, 3, 16),
            "prompt_dense_positional_embeddings": (1, 2, 3, 16),
            "prompt_sparse_embeddings": (1, 2, 16),
            "prompt_dense_embeddings": (1, 2, 3, 16),
            "early_features": (1, 2, 3, 4),
        },
        coupled=("hidden_size", "embedding_dim"),
    ),
]
each_layer = pytest.mark.parametrize("case", CASES, ids=lambda case: case.layer.__name__)
each_argument = pytest.mark.parametrize(
    ("case", "argument"),
    [
        pytest.param(case, name, id=f"{case.layer.__name__}-{name}")
        for case in CASES
        for name in case.changed
    ],
)


class LayerModel(keras.Model):
    """A model that calls one layer and concatenates its outputs to one row."""

    def __init__(self, case: Case, layer: keras.layers.Layer) -> None:
        super().__init__()
        self.case = case
        self.layer = layer
        self.built = True

    def call(self, inputs: dict[str, Any]) -> Any:
        outputs = tree.flatten(self.case.call(self.layer, inputs))
        rows = [ops.reshape(ops.cast(output, "float32"), (1, -1)) for output in outputs]
        return ops.concatenate(rows, axis=1)


def fingerprint(outputs: list[np.ndarray]) -> list[float]:
    """Four weighted sums of all outputs, of the magnitude of one output."""
    values = np.concatenate([output.ravel() for output in outputs])
    weights = np.random.default_rng(3).normal(size=(4, values.size)) / np.sqrt(values.size)
    return [float(total) for total in weights @ values]


@each_layer
def test_outputs_are_the_same_on_every_backend(case):
    expected = json.loads(RECORD.read_text())[case.layer.__name__]
    np.testing.assert_allclose(fingerprint(case.output(case.make())), expected, atol=2e-4)


@each_layer
def test_config_and_weights_restore_the_layer(case, tmp_path):
    layer = case.make()
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    restored = keras.saving.deserialize_keras_object(
        config, custom_objects={case.layer.__name__: case.layer}
    )
    if not restored.built:  # the config has no input shape if the layer does not need one
        restored.build()
    LayerModel(case, layer).save_weights(tmp_path / "layer.weights.h5")
    LayerModel(case, restored).load_weights(tmp_path / "layer.weights.h5")
    for actual, expected in zip(case.output(restored), case.output(layer), strict=True):
        np.testing.assert_array_equal(actual, expected)


@each_layer
@pytest.mark.parametrize("dtype", ["bfloat16", "mixed_float16"])
def test_children_have_the_dtype_and_symbolic_shapes_are_correct(case, dtype):
    layer = case.make(dtype=dtype)
    policy = keras.DTypePolicy(dtype)
    for child in layer._flatten_layers():
        assert child.dtype_policy.name == dtype
    assert {weight.dtype for weight in layer.weights} == {policy.variable_dtype}
    symbolic = {
        name: keras.KerasTensor(shape, dtype="float32") for name, shape in case.inputs.items()
    }
    specs = tree.flatten(case.call(layer, symbolic))
    outputs = tree.flatten(case.call(layer, case.arrays()))
    shapes = [output.shape for output in case.output(case.make())]
    assert [tuple(spec.shape) for spec in specs] == shapes
    dtypes = [keras.backend.standardize_dtype(output.dtype) for output in outputs]
    assert set(dtypes) - {"bool"} == {policy.compute_dtype}
    # In symbolic calls on torch, Keras (3.15) does not cast variables to the compute dtype.
    if keras.backend.backend() != "torch" or policy.compute_dtype == policy.variable_dtype:
        assert [spec.dtype for spec in specs] == dtypes


@each_argument
def test_every_argument_has_an_effect(case, argument):
    """The effect is on the shapes of weights, the shapes of outputs, or the outputs."""
    names = case.coupled if argument in case.coupled else (argument,)
    layers = case.make(), case.make(**{name: case.changed[name] for name in names})
    weights = [[tuple(weight.shape) for weight in layer.weights] for layer in layers]
    assert weights[0] != weights[1] or outputs_differ(*map(case.output, layers))


def outputs_differ(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    if [output.shape for output in first] != [output.shape for output in second]:
        return True
    return max(np.abs(a - b).max() for a, b in zip(first, second, strict=True)) > 1e-3


@each_layer
def test_every_argument_is_tested(case):
    parameters = inspect.signature(case.layer.__init__).parameters
    assert set(parameters) - {"self", "kwargs"} == set(case.changed)


@pytest.mark.training
@each_layer
def test_gradients_reach_every_weight(case):
    layer = case.make()
    before = [ops.convert_to_numpy(weight).copy() for weight in layer.trainable_weights]
    model = LayerModel(case, layer)
    arrays = {name: ops.convert_to_numpy(array) for name, array in case.arrays().items()}
    size = sum(output.size for output in case.output(layer))
    target = np.random.default_rng(5).normal(size=(1, size)).astype("float32")
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y, y_pred: ops.sum(y * y_pred))
    model.train_on_batch(arrays, target)
    unchanged = [
        weight.path
        for weight, old in zip(layer.trainable_weights, before, strict=True)
        if np.abs(ops.convert_to_numpy(weight) - old).max() < 1e-5
    ]
    # The bias of keys cancels in the softmax, so it has no gradient.
    assert [path for path in unchanged if not path.endswith("key/bias")] == []


if __name__ == "__main__":
    record = {case.layer.__name__: fingerprint(case.output(case.make())) for case in CASES}
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
