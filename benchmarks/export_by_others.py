"""`OTHERS`: ONNX exports of the same model by other implementations."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.checkpoints import convert_checkpoint

PARTS = ("encoder", "decoder")
IMAGE_SIZE_INPUT = "orig_im_size"


def export_transformers(preset: str, directory: str) -> dict[str, Any]:
    """Export the modules of transformers' model by `torch.onnx.export`, unless it was before."""
    if all((Path(directory) / f"{part}.onnx").exists() for part in PARTS):
        return {}
    from benchmarks.implementations import ModelFiles, Settings
    from benchmarks.implementations.onnx_sam import export_part

    files = ModelFiles(Path(directory).absolute(), 0)
    if not files.transformers.exists():
        convert_checkpoint(preset, files.transformers, to="transformers", dtype="float32")
    for part in PARTS:
        export_part(part, files, Settings("float32", 1), files.directory / f"{part}.onnx")
    return {}


def export_samexporter(preset: str, directory: str) -> dict[str, Any]:
    """Export Meta's model by the code that samexporter calls.

    It has the sizes of the preset and random weights, since Meta's files have no number of heads.
    """
    import torch
    from segment_anything.utils.onnx import SamOnnxModel

    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    model = _build_meta(preset)
    side, channels = model.image_encoder.img_size, model.prompt_encoder.embed_dim
    grid = model.prompt_encoder.image_embedding_size
    modules = {
        "encoder": (model.image_encoder, {"images": torch.zeros(1, 3, side, side)}),
        "decoder": (
            SamOnnxModel(model, return_single_mask=False),
            {
                "image_embeddings": torch.zeros(1, channels, *grid),
                "point_coords": torch.ones(1, 2, 2),
                "point_labels": torch.ones(1, 2),
                "mask_input": torch.zeros(1, 1, *model.prompt_encoder.mask_input_size),
                "has_mask_input": torch.zeros(1),
                IMAGE_SIZE_INPUT: torch.tensor([400.0, 600.0]),
            },
        ),
    }
    for part, (module, inputs) in modules.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                folder / f"{part}.onnx",
                input_names=list(inputs),
                opset_version=17,
                dynamo=False,
            )
    return {}


def measure_others(directory: str, repeats: int) -> dict[str, float]:
    """Return the CPU time of the encoder and of the decoder in milliseconds."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import onnxruntime

    from benchmarks.export import fastest

    times = {}
    for part in PARTS:
        session = onnxruntime.InferenceSession(Path(directory) / f"{part}.onnx")
        inputs = {}
        for value in session.get_inputs():
            dtype = np.int32 if "int" in value.type else np.float32
            inputs[value.name] = np.ones(value.shape, dtype)
        if IMAGE_SIZE_INPUT in inputs:
            inputs[IMAGE_SIZE_INPUT] = np.array([400, 600], np.float32)
        times[part] = fastest(
            lambda session=session, inputs=inputs: session.run(None, inputs), repeats
        )
    return times


def _build_meta(preset: str) -> Any:
    """Build Meta's model with the sizes of a preset."""
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    from keras_sam.checkpoints import read_checkpoint

    config = read_checkpoint(preset, load_weights=False).config
    encoder, prompts, decoder = (
        config[part]["config"] for part in ("image_encoder", "prompt_encoder", "mask_decoder")
    )
    width = prompts["hidden_size"]
    image_encoder = ImageEncoderViT(
        img_size=encoder["image_shape"][0],
        patch_size=encoder["patch_size"],
        embed_dim=encoder["hidden_size"],
        depth=encoder["num_layers"],
        num_heads=encoder["num_heads"],
        mlp_ratio=encoder["intermediate_dim"] / encoder["hidden_size"],
        out_chans=width,
        use_rel_pos=True,
        window_size=encoder["window_size"],
        global_attn_indexes=tuple(encoder["global_attention_layer_indices"]),
    )
    prompt_encoder = PromptEncoder(
        width,
        tuple(prompts["image_embedding_size"]),
        tuple(prompts["input_image_size"]),
        prompts["mask_in_channels"],
    )
    transformer = TwoWayTransformer(
        decoder["num_layers"], width, decoder["num_heads"], decoder["intermediate_dim"]
    )
    mask_decoder = MaskDecoder(
        transformer_dim=width,
        transformer=transformer,
        iou_head_depth=decoder["iou_head_depth"],
        iou_head_hidden_dim=decoder["iou_head_hidden_dim"],
    )
    return Sam(image_encoder, prompt_encoder, mask_decoder)


# Name -> package that it needs, function that exports, and function that measures.
OTHERS = {
    "transformers": ("transformers", export_transformers, measure_others),
    "samexporter": ("segment_anything", export_samexporter, measure_others),
}
