"""The layout of transformers.js and of optimum's "split" exports."""

import dataclasses
import json
from typing import Any

from keras import ops

from keras_sam.export.decoder import decode_prompts
from keras_sam.export.frame import Frame, frame_of
from keras_sam.export.layouts.layout import Layout
from keras_sam.export.layouts.meta import embedding_of, meta_encoder
from keras_sam.export.options import ExportOptions
from keras_sam.export.program import POINTS, PROMPTS, ArraySpec, Program
from keras_sam.export.samples import choice, uniform
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.point_labels import NOT_A_POINT
from keras_sam.transforms.preprocessing import PIXEL_MEAN, PIXEL_STD


def build_transformers(model: SAMImageSegmenter, options: ExportOptions) -> tuple[Program, Program]:
    """Build `onnx/vision_encoder` and `onnx/prompt_encoder_mask_decoder`."""
    frame, embedding = frame_of(model, options.frame), embedding_of(model)
    image_embeddings = embedding.specs[0]
    positions = dataclasses.replace(image_embeddings, name="image_positional_embeddings")
    encoder = meta_encoder(model, options, frame, embedding)
    encode = encoder.function

    def encode_with_positions(images: Any) -> tuple[Any, ...]:
        dense_positions = model.backbone.prompt_encoder.dense_positions()
        return (*encode(images), ops.transpose(dense_positions, (0, 3, 1, 2)))

    encoder = dataclasses.replace(
        encoder,
        name="onnx/vision_encoder",
        inputs=(dataclasses.replace(encoder.inputs[0], name="pixel_values"),),
        outputs=(image_embeddings, positions),
        function=encode_with_positions,
        layers=(model.backbone.image_encoder, model.backbone.prompt_encoder),
    )
    return encoder, _decoder(model, frame, image_embeddings, positions)


def _decoder(
    model: SAMImageSegmenter, frame: Frame, image_embeddings: ArraySpec, positions: ArraySpec
) -> Program:
    def function(
        points: Any, labels: Any, image_embeddings: Any, positions: Any
    ) -> tuple[Any, ...]:
        # transformers adds a token to each prompt that has no box.
        _, prompts, _, _ = ops.shape(points)
        points = ops.concatenate([points, ops.zeros((1, prompts, 1, 2), "float32")], axis=2)
        token = ops.full((1, prompts, 1), NOT_A_POINT, dtype=labels.dtype)
        labels = ops.concatenate([labels, token], axis=2)
        masks, iou_predictions = decode_prompts(
            model,
            frame,
            image_embeddings=image_embeddings,
            point_coords=points,
            point_labels=labels,
            positions=positions,
            multimask_output=True,
        )
        return iou_predictions, masks

    decoder = model.backbone.mask_decoder
    num_masks, side = decoder.num_multimask_outputs, frame.low_res_side
    axes = (1, PROMPTS, POINTS)
    return Program(
        "onnx/prompt_encoder_mask_decoder",
        (
            ArraySpec("input_points", (*axes, 2), sample=uniform(0, frame.side)),
            ArraySpec("input_labels", axes, "int64", sample=choice([1, 1, 0], "int64")),
            image_embeddings,
            positions,
        ),
        (
            ArraySpec("iou_scores", (1, PROMPTS, num_masks)),
            ArraySpec("pred_masks", (1, PROMPTS, num_masks, side, side)),
        ),
        function,
        (model.backbone.prompt_encoder, decoder),
        sizes={PROMPTS: 2, POINTS: 3},
        check_sizes=({PROMPTS: 1, POINTS: 1}, {PROMPTS: 3, POINTS: 2}),
    )


def config_files(model: SAMImageSegmenter, options: ExportOptions) -> dict[str, bytes]:
    """Return `config.json` and `preprocessor_config.json`."""
    frame = frame_of(model, options.frame)
    config = {
        "architectures": ["SamModel"],
        "model_type": "sam",
        "transformers.js_config": {"dtype": "fp32"},
    }
    preprocessor = {
        "image_processor_type": "SamImageProcessor",
        "processor_class": "SamProcessor",
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_pad": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": PIXEL_MEAN,
        "image_std": PIXEL_STD,
        "mask_pad_size": {"height": frame.low_res_side, "width": frame.low_res_side},
        "mask_size": {"longest_edge": frame.low_res_side},
        "pad_size": {"height": frame.side, "width": frame.side},
        "resample": 2,  # bilinear
        "rescale_factor": 1 / 255,
        "size": {"longest_edge": frame.side},
    }
    files = {"config.json": config, "preprocessor_config.json": preprocessor}
    return {name: json.dumps(content, indent=2).encode() for name, content in files.items()}


TRANSFORMERS = Layout(
    "transformers",
    build_transformers,
    single_mask=None,
    high_quality=False,
    preprocess=False,
    files=config_files,
)
