"""`VIT_DET`: SAM's own image encoder, a vision transformer with windowed attention."""

from collections.abc import Mapping
from typing import Any

from keras_sam.checkpoints.architectures.argument import (
    LAYERS,
    MAX_SIZE,
    SIZE,
    SIZE_OR_ZERO,
    Argument,
    integers,
    is_bool,
    is_epsilon,
    is_index_list,
)
from keras_sam.checkpoints.architectures.image_encoder import (
    ImageEncoderFormat,
    KerasHubEncoder,
    MetaEncoder,
    TransformersEncoder,
)
from keras_sam.checkpoints.architectures.layer_names import (
    NECK,
    LayerNames,
    keras_variable,
    numbered,
    split_name,
    torch_tensor,
)
from keras_sam.checkpoints.architectures.layer_shapes import (
    Shapes,
    kernel_and_bias,
    layer_norm,
    mlp,
    neck,
    prefixed,
)
from keras_sam.checkpoints.architectures.tensor_shapes import TensorShapes
from keras_sam.checkpoints.truncate import truncate
from keras_sam.errors import CheckpointError

ARGUMENTS = {
    "hidden_size": Argument(SIZE),
    "num_layers": Argument(LAYERS),
    "intermediate_dim": Argument(SIZE),
    "num_heads": Argument(SIZE),
    "global_attention_layer_indices": Argument(is_index_list),
    "image_shape": Argument(integers(3), [1024, 1024, 3]),
    "patch_size": Argument(SIZE, 16),
    "num_output_channels": Argument(SIZE, 256),
    "use_bias": Argument(is_bool, True),
    "use_abs_pos": Argument(is_bool, True),
    "use_rel_pos": Argument(is_bool, True),
    "window_size": Argument(SIZE_OR_ZERO, 14),
    "layer_norm_epsilon": Argument(is_epsilon, 1e-6),
    "output_early_feature": Argument(is_bool, False),
}

LAYER_NAMES = NECK | {
    "patch_embedding": LayerNames(
        "patch_embed.proj", "patch_embed.projection", "vi_t_det_patching_and_embedding/projection"
    ),
}
BLOCK_LAYER_NAMES = {
    "layer_norm1": LayerNames("norm1", "layer_norm1", "layer_norm1"),
    "attention": LayerNames("attn", "attn", "attention/add_decomposed_relative_pe"),
    "attention/qkv": LayerNames("attn.qkv", "attn.qkv", "attention/qkv"),
    "attention/projection": LayerNames("attn.proj", "attn.proj", "attention/projection"),
    "layer_norm2": LayerNames("norm2", "layer_norm2", "layer_norm2"),
    "mlp/dense1": LayerNames("mlp.lin1", "mlp.lin1", "mlp_block/dense_net/layers/dense"),
    "mlp/dense2": LayerNames("mlp.lin2", "mlp.lin2", "mlp_block/dense_net/layers/dense_1"),
}
POSITIONS = "position_embedding"

# Arguments by their keys in the vision_config of transformers, with its defaults: older files
# omit keys.
TRANSFORMERS_KEYS = {
    "hidden_size": ("hidden_size", 768),
    "num_layers": ("num_hidden_layers", 12),
    "num_heads": ("num_attention_heads", 12),
    "patch_size": ("patch_size", 16),
    "num_output_channels": ("output_channels", 256),
    "use_bias": ("qkv_bias", True),
    "use_abs_pos": ("use_abs_pos", True),
    "use_rel_pos": ("use_rel_pos", True),
    "window_size": ("window_size", 14),
    "global_attention_layer_indices": ("global_attn_indexes", [2, 5, 8, 11]),
    "layer_norm_epsilon": ("layer_norm_eps", 1e-6),
}
META_BLOCK = "image_encoder.blocks.{}."


def weight_shapes(config: Mapping[str, Any]) -> Shapes:
    """Return the shape of each weight of a `ViTDetBackbone`."""
    width, patch = config["hidden_size"], config["patch_size"]
    shapes = kernel_and_bias("patch_embedding", (patch, patch, config["image_shape"][2], width))
    if config["use_abs_pos"]:
        shapes[POSITIONS] = (1, *embedding_size(config), width)
    for index in range(config["num_layers"]):
        shapes |= prefixed(f"blocks_{index}", _block(config, attended_size(config, index)))
    return shapes | neck("neck", width, config["num_output_channels"])


def embedding_size(config: Mapping[str, Any]) -> tuple[int, int]:
    """Return `(height, width)` of the embedding grid."""
    height, width, _ = config["image_shape"]
    return height // config["patch_size"], width // config["patch_size"]


def is_global(config: Mapping[str, Any], index: int) -> bool:
    """Return True if block `index` attends over the whole grid, not within windows."""
    return index in config["global_attention_layer_indices"] or not config["window_size"]


def attended_size(config: Mapping[str, Any], index: int) -> tuple[int, int]:
    """Return `(height, width)` in tokens of the area over which block `index` attends."""
    if is_global(config, index):
        return embedding_size(config)
    return config["window_size"], config["window_size"]


def _block(config: Mapping[str, Any], attended: tuple[int, int]) -> Shapes:
    width = config["hidden_size"]
    head = width // config["num_heads"]
    shapes = layer_norm("layer_norm1", width)
    shapes["attention/qkv/kernel"] = (width, 3 * width)
    if config["use_bias"]:
        shapes["attention/qkv/bias"] = (3 * width,)
    shapes |= kernel_and_bias("attention/projection", (width, width))
    if config["use_rel_pos"]:
        shapes["attention/rel_pos_h"] = (2 * attended[0] - 1, head)
        shapes["attention/rel_pos_w"] = (2 * attended[1] - 1, head)
    shapes |= layer_norm("layer_norm2", width)
    return shapes | mlp("mlp", [width, config["intermediate_dim"], width])


def _meta_name(name: str) -> str:
    if name == POSITIONS:
        return "image_encoder.pos_embed"
    block, names, variable = _find_layer(name)
    layer = names.meta if block is None else f"blocks.{block}.{names.meta}"
    return f"image_encoder.{torch_tensor(layer, variable)}"


def _transformers_name(name: str) -> str:
    if name == POSITIONS:
        return "vision_encoder.pos_embed"
    block, names, variable = _find_layer(name)
    layer = names.transformers if block is None else f"layers.{block}.{names.transformers}"
    return f"vision_encoder.{torch_tensor(layer, variable)}"


def _keras_hub_path(name: str) -> str:
    if name == POSITIONS:
        return keras_variable("add_positional_embedding", "")
    block, names, variable = _find_layer(name)
    if block is None:
        return keras_variable(names.keras_hub, variable)
    prefix = numbered("windowed_transformer_encoder", block)
    return keras_variable(f"{prefix}/{names.keras_hub}", variable)


def _find_layer(name: str) -> tuple[int | None, LayerNames, str]:
    """Return the index of the block, if any, the names of the layer, and the variable."""
    layer, variable = split_name(name)
    block, _, part = layer.partition("/")
    if not block.startswith("blocks_"):
        return None, LAYER_NAMES[layer], variable
    return int(block.removeprefix("blocks_")), BLOCK_LAYER_NAMES[part], variable


def _parse_meta_config(tensors: TensorShapes) -> dict[str, Any]:
    width, channels, patch, _ = tensors.axes("image_encoder.patch_embed.proj.weight", 4)
    layers = tensors.count(r"image_encoder\.blocks\.\d+\.attn\.qkv\.weight")
    first = META_BLOCK.format(0)
    has_positions = "image_encoder.pos_embed" in tensors and f"{first}attn.rel_pos_h" in tensors
    if not has_positions or not layers:
        raise CheckpointError(
            f"'{tensors.source}' needs blocks, image_encoder.pos_embed and {first}attn.rel_pos_h, "
            "from which the sizes of images and heads are derived"
        )
    _, rows, columns, _ = tensors.axes("image_encoder.pos_embed", 4)
    whole, window, head = _parse_meta_attention(tensors, layers, (rows, columns))
    return {
        "hidden_size": width,
        "num_layers": layers,
        "intermediate_dim": tensors.axes(f"{first}mlp.lin1.weight", 2)[0],
        "num_heads": max(1, width // head),
        "global_attention_layer_indices": whole,
        "image_shape": [rows * patch, columns * patch, channels],
        "patch_size": patch,
        "num_output_channels": tensors.axes("image_encoder.neck.0.weight", 4)[0],
        "use_bias": f"{first}attn.qkv.bias" in tensors,
        "window_size": window,
    }


def _parse_meta_attention(
    tensors: TensorShapes, layers: int, grid: tuple[int, int]
) -> tuple[list[int], int, int]:
    """Return the indices of global blocks, the window size of the others, and the head width.

    A table of 2 n - 1 relative positions belongs to windows of n tokens, or to the whole grid.
    """
    blocks = [META_BLOCK.format(index) for index in range(layers)]
    vertical = [tensors.axes(f"{block}attn.rel_pos_h", 2) for block in blocks]
    horizontal = [tensors.axes(f"{block}attn.rel_pos_w", 2) for block in blocks]
    whole_grid = (2 * grid[0] - 1, 2 * grid[1] - 1)
    lengths = [(high[0], wide[0]) for high, wide in zip(vertical, horizontal, strict=True)]
    windows = {(length[0] + 1) // 2 for length in lengths if length != whole_grid}
    if len(windows) > 1:
        raise CheckpointError(
            f"'{tensors.source}' has windows of {sorted(windows)} tokens; expected one size"
        )
    whole = [index for index, length in enumerate(lengths) if length == whole_grid]
    return whole, windows.pop() if windows else 0, vertical[0][1]


def _normalize_attention(config: Mapping[str, Any]) -> dict[str, Any]:
    """Drop indices beyond the last block, and a window size that no block uses."""
    whole = [index for index in range(config["num_layers"]) if is_global(config, index)]
    window = config["window_size"] if len(whole) < config["num_layers"] else 0
    return {**config, "global_attention_layer_indices": whole, "window_size": window}


def _parse_vision_config(vision: Mapping[str, Any], source: str) -> dict[str, Any]:
    side, patch = vision.get("image_size", 1024), vision.get("patch_size", 16)
    size = list(side) if isinstance(side, list) else [side, side]
    if len(size) != 2 or any(type(value) is not int for value in [*size, patch]) or patch < 1:
        raise CheckpointError(
            f"'{source}' has the image_size {truncate(side)} and the patch_size "
            f"{truncate(patch)}; expected positive integers"
        )
    config = {name: vision.get(key, value) for name, (key, value) in TRANSFORMERS_KEYS.items()}
    width = _parse_mlp_width(vision, source)
    return config | {"image_shape": [*size, 3], "intermediate_dim": width}


def _parse_mlp_width(vision: Mapping[str, Any], source: str) -> int:
    if vision.get("mlp_dim") is not None:
        return vision["mlp_dim"]
    width, ratio = vision.get("hidden_size", 768), vision.get("mlp_ratio", 4.0)
    is_number = type(width) is int and type(ratio) in (int, float)
    if not is_number or not 0 < ratio <= MAX_SIZE or not 0 < width <= MAX_SIZE:
        raise CheckpointError(
            f"'{source}' has hidden_size={truncate(width)} and mlp_ratio={truncate(ratio)}; "
            f"expected an integer and a number in (0, {MAX_SIZE}]"
        )
    return int(width * ratio)


def _build_vision_config(config: Mapping[str, Any]) -> dict[str, Any]:
    vision = {key: config[name] for name, (key, _) in TRANSFORMERS_KEYS.items()}
    return vision | {
        "image_size": config["image_shape"][0],
        "mlp_dim": config["intermediate_dim"],
        "mlp_ratio": config["intermediate_dim"] / config["hidden_size"],
    }


VIT_DET = ImageEncoderFormat(
    module="keras_sam.models.vit_det_backbone",
    arguments=ARGUMENTS,
    weight_shapes=weight_shapes,
    keras_hub=KerasHubEncoder(
        weight_path=_keras_hub_path,
        module="keras_hub.src.models.vit_det.vit_det_backbone",
        extra_arguments=("output_early_feature",),
    ),
    meta=MetaEncoder(
        signature="image_encoder.patch_embed.proj.weight",
        parse_config=_parse_meta_config,
        tensor_name=_meta_name,
        normalize_config=_normalize_attention,
    ),
    transformers=TransformersEncoder(
        model_types=("sam", "sam_hq"),
        fixed={"hidden_act": "gelu", "num_channels": 3},
        parse_config=_parse_vision_config,
        build_config=_build_vision_config,
        tensor_name=_transformers_name,
    ),
    position_tables={POSITIONS: "bicubic", "rel_pos_h": "linear", "rel_pos_w": "linear"},
)
