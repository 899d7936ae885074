"""`write_transformers`: a checkpoint as a directory of transformers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_sam.checkpoints.atomic_directory import replace_directory
from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_sam.checkpoints.expected_shapes import expected_shapes
from keras_sam.checkpoints.preset_files import CONFIG
from keras_sam.checkpoints.read_transformers import SAFETENSORS
from keras_sam.checkpoints.torch_layout import to_torch_layout, torch_shape
from keras_sam.checkpoints.transformers_config import FIXED, MASK_DECODER, VISION
from keras_sam.checkpoints.transformers_names import transformers_name
from keras_sam.checkpoints.write_safetensors import write_safetensors

PREPROCESSOR_CONFIG = "preprocessor_config.json"
# What the layers of transformers do by themselves; a model that differs cannot be told to it.
ACTIVATION = "gelu"


def write_transformers(directory: str | Path, checkpoint: Checkpoint, *, dtype: str) -> None:
    """Writes `config.json`, `preprocessor_config.json` and `model.safetensors` of a `SamModel`.

    The directory is written beside its place and renamed.

    Args:
        directory: path of a new or empty directory.
        checkpoint: of a `SAMBackbone`, with all its weights.
        dtype: "float32", "float16" or "bfloat16", of the file.

    Raises:
        CheckpointError: if the directory holds anything, or the model has a setting that
            transformers has not.
    """
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise CheckpointError(f"'{directory}' exists and is not empty; choose another directory")
    config = transformers_config(checkpoint)
    depth = config["mask_decoder_config"]["iou_head_depth"]
    shapes = expected_shapes(checkpoint.class_name, checkpoint.config)
    names = {transformers_name(name, iou_head_depth=depth): name for name in shapes}
    try:
        with replace_directory(directory) as fresh:
            _write_json(fresh / CONFIG, config | {"torch_dtype": dtype})
            _write_json(fresh / PREPROCESSOR_CONFIG, preprocessor_config(config))
            write_safetensors(
                fresh / SAFETENSORS,
                {there: torch_shape(here, shapes[here]) for there, here in names.items()},
                lambda there: to_torch_layout(names[there], checkpoint.arrays[names[there]]),
                dtype=dtype,
                metadata={"format": "pt"},
            )
    except OSError as error:
        raise CheckpointError(f"cannot write '{directory}': {error}") from error


def transformers_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """The `config.json` of a `SamModel`; the inverse of `parse_transformers_config`.

    Raises:
        CheckpointError: for a model that transformers cannot build.
    """
    if checkpoint.class_name != "SAMBackbone":
        raise CheckpointError(
            f"transformers has no model for a lone {checkpoint.class_name}; expected a SAMBackbone"
        )
    parts = {
        name: checkpoint.config[name]["config"]
        for name in ("image_encoder", "prompt_encoder", "mask_decoder")
    }
    encoder, prompts, decoder = parts.values()
    encoder_class = checkpoint.config["image_encoder"]["class_name"]
    if encoder_class != "ViTDetBackbone":
        raise CheckpointError(
            f"transformers has no SAM model with a {encoder_class}, as '{checkpoint.source}' has"
        )
    height, width, _ = encoder["image_shape"]
    wrong = []
    if height != width:
        wrong.append(f"images of {height} x {width}, expected a square")
    if decoder["hidden_size"] != decoder["embedding_dim"]:
        wrong.append("a decoder whose hidden_size is not its embedding_dim")
    for part in (prompts, decoder):
        if part["activation"] != ACTIVATION:
            wrong.append(f"the activation {part['activation']}, expected {ACTIVATION}")
    if wrong:
        raise CheckpointError(
            f"transformers cannot hold '{checkpoint.source}': it has {'; '.join(wrong)}"
        )
    vision = _translated(encoder, VISION) | {
        "model_type": "sam_vision_model",
        "image_size": height,
        "mlp_dim": encoder["intermediate_dim"],
        "mlp_ratio": encoder["intermediate_dim"] / encoder["hidden_size"],
        "num_pos_feats": prompts["hidden_size"] // 2,
    }
    prompt_encoder = {
        "model_type": "sam_prompt_encoder",
        "hidden_size": prompts["hidden_size"],
        "image_size": height,
        "patch_size": encoder["patch_size"],
        "image_embedding_size": height // encoder["patch_size"],
        "mask_input_channels": prompts["mask_in_channels"],
    }
    mask_decoder = _translated(decoder, MASK_DECODER) | {"model_type": "sam_mask_decoder"}
    sections = {
        "vision_config": vision,
        "prompt_encoder_config": prompt_encoder,
        "mask_decoder_config": mask_decoder,
    }
    return {
        "model_type": "sam",
        "architectures": ["SamModel"],
        "initializer_range": 0.02,
        **{name: FIXED[name] | section for name, section in sections.items()},
    }


def preprocessor_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The `preprocessor_config.json`: longest side to the image size, normalise, pad."""
    side = config["vision_config"]["image_size"]
    low_res = 4 * side // config["vision_config"]["patch_size"]
    return {
        "image_processor_type": "SamImageProcessor",
        "processor_class": "SamProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"longest_edge": side},
        "mask_size": {"longest_edge": low_res},
        "resample": 2,  # bilinear
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "do_pad": True,
        "pad_size": {"height": side, "width": side},
        "mask_pad_size": {"height": low_res, "width": low_res},
    }


def _translated(part: Mapping[str, Any], table: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    return {key: part[name] for name, (key, _) in table.items()}


def _write_json(file: Path, contents: Any) -> None:
    file.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
