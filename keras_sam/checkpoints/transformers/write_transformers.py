"""`write_transformers`: a checkpoint as a directory of transformers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_sam.checkpoints.preprocessing import parse_preprocessing
from keras_sam.checkpoints.preset_files import (
    CONFIG,
    PREPROCESSING,
    PREPROCESSOR_CONFIG,
    THRESHOLDS,
)
from keras_sam.checkpoints.thresholds import SAM, parse_thresholds
from keras_sam.checkpoints.torch_layout import to_torch_layout, torch_shape
from keras_sam.checkpoints.transformers.config import FIXED, HIGH_QUALITY, MASK_DECODER, VISION
from keras_sam.checkpoints.transformers.preprocessor_config import (
    parse_preprocessor_config,
    preprocessor_config,
)
from keras_sam.checkpoints.transformers.read_transformers import SAFETENSORS
from keras_sam.checkpoints.transformers.tensor_names import transformers_name
from keras_sam.checkpoints.write_safetensors import write_safetensors
from keras_sam.files.atomic_directory import replace_directory

# What the layers of transformers do by themselves; a model that differs cannot be told to it.
ACTIVATION = "gelu"
# Of the mask decoder's norms, as Meta has it; transformers takes 1e-6 unless it is told.
DECODER_EPSILON = 1e-5


def write_transformers(directory: str | Path, checkpoint: Checkpoint, *, dtype: str) -> None:
    """Writes a `SamModel` or `SamHQModel`: its configs and `model.safetensors`.

    Where transformers cannot prepare images as the model wants them, its file tells what comes
    nearest, and `preprocessing.json` beside it all of it; `thresholds.json` holds what is not
    Meta's. The directory is written beside its place and renamed.

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
            _write_preprocessing(fresh, checkpoint)
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
    """The `config.json` of such a model; the inverse of `parse_transformers_config`.

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
    if decoder["hq_token_only"]:
        wrong.append("hq_token_only, which transformers takes when it is called")
    for part in (prompts, decoder):
        if part["activation"] != ACTIVATION:
            wrong.append(f"the activation {part['activation']}, expected {ACTIVATION}")
    if wrong:
        raise CheckpointError(
            f"transformers cannot hold '{checkpoint.source}': it has {'; '.join(wrong)}"
        )
    is_high_quality = decoder["early_feature_dim"] > 0
    model_type = "sam_hq" if is_high_quality else "sam"
    vision = _translated(encoder, VISION) | {
        "model_type": f"{model_type}_vision_model",
        "image_size": height,
        "mlp_dim": encoder["intermediate_dim"],
        "mlp_ratio": encoder["intermediate_dim"] / encoder["hidden_size"],
        "num_pos_feats": prompts["hidden_size"] // 2,
    }
    prompt_encoder = {
        "model_type": f"{model_type}_prompt_encoder",
        "hidden_size": prompts["hidden_size"],
        "image_size": height,
        "patch_size": encoder["patch_size"],
        "image_embedding_size": height // encoder["patch_size"],
        "mask_input_channels": prompts["mask_in_channels"],
    }
    decoder_keys = MASK_DECODER | (HIGH_QUALITY if is_high_quality else {})
    mask_decoder = _translated(decoder, decoder_keys) | {
        "model_type": f"{model_type}_mask_decoder",
        "layer_norm_eps": DECODER_EPSILON,
    }
    sections = {
        "vision_config": vision,
        "prompt_encoder_config": prompt_encoder,
        "mask_decoder_config": mask_decoder,
    }
    return {
        "model_type": model_type,
        "architectures": ["SamHQModel" if is_high_quality else "SamModel"],
        "initializer_range": 0.02,
        **{name: FIXED[name] | section for name, section in sections.items()},
    }


def _write_preprocessing(directory: Path, checkpoint: Checkpoint) -> None:
    """What transformers understands; and our own file, where that is not all."""
    source = checkpoint.source
    preprocessing = parse_preprocessing(checkpoint.preprocessing, source=source)
    encoder = checkpoint.config["image_encoder"]["config"]
    size = encoder["image_shape"][:2]
    low_res = 4 * size[0] // encoder["patch_size"]
    contents = preprocessor_config(image_size=size, low_res=low_res, preprocessing=preprocessing)
    is_high_quality = checkpoint.config["mask_decoder"]["config"]["early_feature_dim"] > 0
    if is_high_quality and contents["processor_class"] == "SamProcessor":
        contents["processor_class"] = "SamHQProcessor"
    _write_json(directory / PREPROCESSOR_CONFIG, contents)
    thresholds = parse_thresholds(checkpoint.thresholds, source=source)
    told = parse_preprocessor_config(contents, image_size=size, source=source)
    if told != preprocessing or thresholds != SAM:
        _write_json(directory / PREPROCESSING, preprocessing)
    if thresholds != SAM:
        _write_json(directory / THRESHOLDS, thresholds)


def _translated(part: Mapping[str, Any], table: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    return {key: part[name] for name, (key, _) in table.items()}


def _write_json(file: Path, contents: Any) -> None:
    file.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
