"""Meta's layout (segment_anything/utils/onnx.py), and those that differ from it in details."""

import dataclasses
from typing import Any

from keras import ops

from keras_sam.export.decoder import decode_prompts, select_best_mask
from keras_sam.export.encoder import encoder_function
from keras_sam.export.frame import Frame, frame_of
from keras_sam.export.layouts.layout import Layout
from keras_sam.export.onnx_stages import cropped_mask_stage, image_stage, mask_stage
from keras_sam.export.options import ExportOptions
from keras_sam.export.program import POINTS, PROMPTS, ArraySpec, Program
from keras_sam.export.samples import choice, photo, uniform
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter

LONGEST_SIDE = 1024  # of consumers that hard-code Meta's frame
BLOB_SHAPE = (256, 64, 64)  # embedding that CVAT hard-codes


@dataclasses.dataclass(frozen=True)
class Embedding:
    """The image embedding of a layout.

    Attributes:
        shape: Shape of `image_embeddings` without the batch axis. If it is larger than the
            model's, the embedding is padded with zeros.
        early_channels: Number of channels of `interm_embeddings`. 0 without SAM-HQ.
    """

    shape: tuple[int, int, int]
    early_channels: int = 0

    @property
    def specs(self) -> tuple[ArraySpec, ...]:
        """Arrays of the embedding of one image."""
        specs = (ArraySpec("image_embeddings", (1, *self.shape)),)
        if not self.early_channels:
            return specs
        shape = (1, 1, *self.shape[1:], self.early_channels)
        return (*specs, ArraySpec("interm_embeddings", shape))


def embedding_of(model: SAMImageSegmenter) -> Embedding:
    """Return the embedding of a model, channels first."""
    height, width, channels = model.backbone.embedding_shapes["image_embeddings"]
    early = model.backbone.embedding_shapes.get("early_features", (0,))
    return Embedding((channels, height, width), early[-1])


def meta_encoder(
    model: SAMImageSegmenter, options: ExportOptions, frame: Frame, embedding: Embedding
) -> Program:
    """Return the image encoder: images `(1, 3, S, S)`, normalized and padded, to an embedding."""
    encode = encoder_function(model, frame)

    def function(images: Any) -> tuple[Any, ...]:
        outputs = encode(images)
        outputs["image_embeddings"] = _pad(outputs["image_embeddings"], embedding.shape)
        return tuple(outputs[spec.name] for spec in embedding.specs)

    images = ArraySpec("images", (1, 3, frame.side, frame.side), sample=photo(frame.side))
    program = Program(
        "encoder", (images,), embedding.specs, function, (model.backbone.image_encoder,)
    )
    return add_pixels(program, frame, name="image", resize=True) if options.preprocess else program


def meta_decoder(
    model: SAMImageSegmenter, options: ExportOptions, frame: Frame, embedding: Embedding
) -> Program:
    """Return the mask decoder with Meta's names and shapes."""
    decoder = model.backbone.mask_decoder
    num_masks = 1 if options.single_mask else decoder.num_mask_tokens
    model_shape = embedding_of(model).shape

    def function(*arrays: Any) -> tuple[Any, ...]:
        values = dict(zip((spec.name for spec in inputs), arrays, strict=True))
        values["image_embeddings"] = _crop(values["image_embeddings"], model_shape)
        for name in ("point_coords", "point_labels"):
            values[name] = values[name][None]  # prompts of one image
        masks, iou_predictions = decode_prompts(model, frame, **values)
        masks, iou_predictions = masks[0], iou_predictions[0]
        if options.single_mask:
            labels = values["point_labels"][0]
            masks, iou_predictions = select_best_mask(masks, iou_predictions, labels)
        return masks, iou_predictions

    side = frame.low_res_side
    inputs = (
        *embedding.specs,
        ArraySpec("point_coords", (PROMPTS, POINTS, 2), sample=uniform(0, frame.side)),
        ArraySpec("point_labels", (PROMPTS, POINTS), sample=choice([1, 1, 0, -1])),
        ArraySpec("mask_input", (1, 1, side, side), sample=uniform(-8, 8)),
        ArraySpec("has_mask_input", (1,), sample=choice([0, 1])),
    )
    masks = ArraySpec("low_res_masks", (PROMPTS, num_masks, side, side))
    iou_predictions = ArraySpec("iou_predictions", (PROMPTS, num_masks))
    return Program(
        "decoder",
        inputs,
        (masks, iou_predictions),
        function,
        (model.backbone.prompt_encoder, decoder),
        sizes={PROMPTS: 2, POINTS: 3},
        check_sizes=({PROMPTS: 1, POINTS: 2}, {PROMPTS: 3, POINTS: 5}),
        after=mask_stage(frame.side, masks, (iou_predictions, masks)),
    )


def add_pixels(program: Program, frame: Frame, *, name: str, resize: bool) -> Program:
    """Let an image encoder take pixels `(H, W, 3)` in [0, 255] instead of normalized images."""
    stage = image_stage(frame.side, resize=resize, name=name, target=program.inputs[0])
    sides = ((97, 61), (40, 64)) if not resize else ((400, 300), (210, 512))
    sizes = tuple(
        {"height": min(height, frame.side), "width": min(width, frame.side)}
        if not resize
        else {"height": height, "width": width}
        for height, width in sides
    )
    return dataclasses.replace(program, before=stage, check_sizes=sizes)


def build_meta(model: SAMImageSegmenter, options: ExportOptions) -> tuple[Program, Program]:
    """Build the programs of Meta's layout."""
    frame, embedding = frame_of(model, options.frame), embedding_of(model)
    return (
        meta_encoder(model, options, frame, embedding),
        meta_decoder(model, options, frame, embedding),
    )


def build_osam(model: SAMImageSegmenter, options: ExportOptions) -> tuple[Program, Program]:
    """Build the programs of osam: the input of the image encoder is `x`."""
    encoder, decoder = build_meta(model, options)
    images = dataclasses.replace(encoder.inputs[0], name="x")
    return dataclasses.replace(encoder, inputs=(images,)), decoder


def build_samexporter(model: SAMImageSegmenter, options: ExportOptions) -> tuple[Program, Program]:
    """Build the programs of samexporter: the image encoder normalizes and pads the image.

    X-AnyLabeling stacks all outputs of a SAM-HQ encoder after the first, so `interm_embeddings`
    lack the first axis there.
    """
    encoder, decoder = build_meta(model, dataclasses.replace(options, preprocess=False))
    if model.backbone.mask_decoder.early_feature_dim:
        encoder, decoder = _without_stack(encoder), _with_sampled_features(decoder)
    frame = frame_of(model, options.frame)
    encoder = add_pixels(encoder, frame, name="input_image", resize=options.preprocess)
    return encoder, decoder


def _without_stack(encoder: Program) -> Program:
    embeddings, features = encoder.outputs
    features = ArraySpec("interm_embedding", features.shape[1:])
    encode = encoder.function

    def function(images: Any) -> tuple[Any, ...]:
        embeddings, features = encode(images)
        return embeddings, features[0]

    return dataclasses.replace(encoder, outputs=(embeddings, features), function=function)


def _with_sampled_features(decoder: Program) -> Program:
    embeddings, features, *others = decoder.inputs
    features = dataclasses.replace(features, sample=uniform(-1, 1))
    return dataclasses.replace(decoder, inputs=(embeddings, features, *others))


def build_cvat(model: SAMImageSegmenter, options: ExportOptions) -> tuple[Program, Program]:
    """Build the programs of CVAT: an embedding of fixed shape, and one cropped mask.

    Raises:
        ValueError: If the model's embedding is larger than the one that CVAT has.
    """
    frame, embedding = frame_of(model, options.frame), embedding_of(model)
    if any(side > limit for side, limit in zip(embedding.shape, BLOB_SHAPE, strict=True)):
        raise ValueError(
            f"CVAT has image embeddings of shape {BLOB_SHAPE}, and the model's are larger: "
            f"{embedding.shape}; use --layout meta with a program of your own"
        )
    embedding = dataclasses.replace(embedding, shape=BLOB_SHAPE)
    encoder = meta_encoder(model, options, frame, embedding)
    decoder = meta_decoder(model, options, frame, embedding)
    inputs = tuple(
        dataclasses.replace(spec, shape=tuple(1 if x == PROMPTS else x for x in spec.shape))
        for spec in decoder.inputs
    )
    masks, iou_predictions = (
        dataclasses.replace(spec, shape=(1, *spec.shape[1:])) for spec in decoder.outputs
    )
    decoder = dataclasses.replace(
        decoder,
        inputs=inputs,
        outputs=(masks, iou_predictions),
        sizes={POINTS: 3},
        check_sizes=({POINTS: 2}, {POINTS: 5}),
        after=cropped_mask_stage(frame.side, masks, (iou_predictions, masks)),
    )
    return encoder, decoder


META = Layout("meta", build_meta)
OSAM = Layout(
    "osam",
    build_osam,
    single_mask=True,
    high_quality=False,
    frame=LONGEST_SIDE,
    preprocess=False,
)
SAMEXPORTER = Layout(
    "samexporter",
    build_samexporter,
    single_mask=True,
    frame=LONGEST_SIDE,
    needs_stages=True,
)
CVAT = Layout(
    "cvat",
    build_cvat,
    single_mask=True,
    high_quality=False,
    frame=LONGEST_SIDE,
    needs_stages=True,
)


def _pad(array: Any, shape: tuple[int, ...]) -> Any:
    """Pad an array `(B, *s)` with zeros to `(B, *shape)`."""
    pads = [(0, new - old) for old, new in zip(array.shape[1:], shape, strict=True)]
    return ops.pad(array, ((0, 0), *pads)) if any(end for _, end in pads) else array


def _crop(array: Any, shape: tuple[int, ...]) -> Any:
    """Crop an array `(B, *s)` to `(B, *shape)`."""
    if tuple(array.shape[1:]) == shape:
        return array
    return array[:, : shape[0], : shape[1], : shape[2]]
