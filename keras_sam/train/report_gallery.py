"""Gallery of a report: crops of the best, median and worst masks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from PIL import Image

from keras_sam.annotations.labeled_dataset import LabeledDataset, decode_masks
from keras_sam.evaluate.score_masks import MaskScore, Target
from keras_sam.masks.measures import mask_to_box
from keras_sam.predict.predictor import Predictor
from keras_sam.types import Size

Prompt = Literal["box", "point"]
Group = Literal["best", "median", "worst"]

CROP_SIDE = 224  # longer side of a crop after the resize, in pixels
MARGIN_RATIO = 0.4  # context on each side, as a share of the longer side of the target's box
MIN_MARGIN = 8  # pixels of the original


@dataclass(frozen=True)
class GalleryTarget:
    """Labeled mask to show in a gallery.

    Attributes:
        group: "best", "median" or "worst".
        prompt: "box" or "point".
        file_name: Name of the image.
        index: Index of the mask among those of the image.
        category: Name of the object's class.
    """

    group: Group
    prompt: Prompt
    file_name: str
    index: int
    category: str


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class MaskCrop:
    """Part of an image around a target, resized to a longer side of `CROP_SIDE`.

    Attributes:
        image: RGB image `(h, w, 3)`, uint8.
        target: Target mask `(h, w)`, bool.
        mask: Predicted mask `(h, w)`, bool.
        iou: IoU of both masks in the original, in [0, 1].
    """

    image: np.ndarray = field(repr=False)
    target: np.ndarray = field(repr=False)
    mask: np.ndarray = field(repr=False)
    iou: float


@dataclass(frozen=True)
class GalleryRow:
    """Target with its masks before and after training.

    Attributes:
        target: Target.
        before: Mask before training.
        after: Mask after training.
    """

    target: GalleryTarget
    before: MaskCrop
    after: MaskCrop


def choose_targets(
    scores: Sequence[MaskScore], *, prompt: Prompt = "box", per_group: int = 4
) -> list[GalleryTarget]:
    """Choose the targets with the best, median and worst masks.

    Args:
        scores: Scores of `evaluate_dataset`. Those after training show the errors that remain.
            Targets that are the worst before training tend to improve by chance.
        prompt: Prompt whose IoU ranks the targets.
        per_group: Maximum number of targets of each group.

    Returns:
        Targets of the three groups, each with the highest IoU first. No target is in two groups.

    Raises:
        ValueError: If `per_group` is below 1.
    """
    if per_group < 1:
        raise ValueError(f"per_group must be 1 or more, got {per_group}")
    order = sorted(scores, key=lambda score: -_iou_of(score, prompt))
    num_best = min(per_group, -(-len(order) // 3))
    num_worst = min(per_group, (len(order) - num_best + 1) // 2)
    between = order[num_best : len(order) - num_worst]
    num_median = min(per_group, len(between))
    first_median = (len(between) - num_median) // 2
    groups: dict[Group, list[MaskScore]] = {
        "best": order[:num_best],
        "median": between[first_median : first_median + num_median],
        "worst": order[len(order) - num_worst :],
    }
    return [
        GalleryTarget(group, prompt, score.file_name, score.annotation_id, score.category)
        for group, members in groups.items()
        for score in members
    ]


def predict_crops(
    predictor: Predictor, dataset: LabeledDataset, targets: Sequence[GalleryTarget]
) -> list[MaskCrop]:
    """Predict the masks of some targets, and keep the crops around them.

    The prompts and masks are those of `evaluate_dataset`. For a point, the mask is that of the
    highest predicted IoU among three. Each image is read and encoded once.

    Args:
        predictor: Predictor of the model. Its image is replaced.
        dataset: Images of the targets.
        targets: P targets.

    Returns:
        Crops of the P targets.

    Raises:
        FileNotFoundError: If an image is missing.
        ValueError: If a target's image is not in the data set, or a mask is malformed.
    """
    images = {image.name: image for image in dataset.images}
    unknown = sorted({target.file_name for target in targets} - images.keys())
    if unknown:
        raise ValueError(f"{unknown[0]} is not an image of the data set")
    crops: dict[int, MaskCrop] = {}
    for name in dict.fromkeys(target.file_name for target in targets):
        positions = [i for i, target in enumerate(targets) if target.file_name == name]
        pixels = images[name].image()
        size = pixels.shape[0], pixels.shape[1]
        indices = [targets[i].index for i in positions]
        masks = decode_masks(images[name].labels(), size, name, indices)
        predictor.set_image(pixels)
        for i, mask in zip(positions, masks, strict=True):
            target = Target(mask, name)
            predicted = _predict(predictor, target, targets[i].prompt)
            crops[i] = _crop(pixels, target, predicted)
    return [crops[i] for i in range(len(targets))]


def _iou_of(score: MaskScore, prompt: Prompt) -> float:
    return score.box_iou if prompt == "box" else score.point_iou


def _predict(predictor: Predictor, target: Target, prompt: Prompt) -> np.ndarray:
    """Return the predicted mask `(H, W)` of a target."""
    if prompt == "box":
        masks, _, _ = predictor.predict_many(boxes=target.box[None], multimask_output=False)
        return np.asarray(masks[0, 0], bool)
    points, labels = np.array([[target.point]], np.float32), np.ones((1, 1), np.int32)
    masks, predicted_iou, _ = predictor.predict_many(points, labels)
    return np.asarray(masks[0, predicted_iou[0].argmax()], bool)


def _crop(pixels: np.ndarray, target: Target, mask: np.ndarray) -> MaskCrop:
    """Crop and resize an image and two masks around the target."""
    x0, y0, x1, y1 = mask_to_box(target.mask).astype(int)
    margin = max(MIN_MARGIN, round(MARGIN_RATIO * max(x1 - x0, y1 - y0)))
    region = (
        slice(max(0, y0 - margin), y1 + margin),
        slice(max(0, x0 - margin), x1 + margin),
    )
    image = Image.fromarray(pixels[region])
    scale = CROP_SIDE / max(image.size)
    height, width = (max(1, round(side * scale)) for side in (image.height, image.width))
    return MaskCrop(
        image=np.asarray(image.resize((width, height), Image.Resampling.BICUBIC)),
        target=_resize_mask(target.mask[region], (height, width)),
        mask=_resize_mask(mask[region], (height, width)),
        iou=target.iou(mask),
    )


def _resize_mask(mask: np.ndarray, size: Size) -> np.ndarray:
    """Resize a mask with antialiasing, so that a reduced pixel is True if half is covered."""
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR)) >= 128
