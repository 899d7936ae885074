"""`calibrate_iou`: fit the predicted IoU of masks whose boundaries were refined."""

from collections.abc import Iterable, Iterator

import numpy as np
from keras import ops

from keras_sam.masks.measures import mask_interior_point
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.point_labels import NOT_A_POINT
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import Preprocessing
from recipes.sam_tiny_synthetic.batches import MAX_MASK_AREA
from recipes.sam_tiny_synthetic.scenes.scene import Scene, draw_scene

MIN_MASK_AREA = 0.004  # of a mask, as a share of the scene
MAX_MASKS = 16  # of a scene


def calibrate_iou(
    segmenter: SAMImageSegmenter, seeds: Iterable[int]
) -> tuple[float, float, float] | None:
    """Fit the coefficients of the calibrated IoU by least squares.

    The data are the masks that a model predicts from the most interior point of each mask of
    scenes. The calibrated IoU is `a * predicted IoU + b * foreground confidence + c`.

    Args:
        segmenter: Segmenter whose preprocessing refines boundaries.
        seeds: Seeds of scenes that were not trained on.

    Returns:
        The coefficients `(a, b, c)`, or `None` if no mask was refined.
    """
    preprocessing = Preprocessing(**segmenter.preprocessing | {"ratings": None})
    rows = [row for seed in seeds for row in _measure(segmenter, preprocessing, draw_scene(seed))]
    if not rows:
        return None
    predicted, confidence, iou = np.array(rows).T
    terms = np.stack([predicted, confidence, np.ones_like(iou)], axis=1)
    coefficients = np.linalg.lstsq(terms, iou, rcond=None)[0]
    a, b, c = (round(float(coefficient), 3) for coefficient in coefficients)
    return a, b, c


def _measure(
    segmenter: SAMImageSegmenter, preprocessing: Preprocessing, scene: Scene
) -> Iterator[tuple[float, float, float]]:
    """Yield predicted IoU, foreground confidence and true IoU of the refined masks of a scene."""
    masks = [mask for mask in scene.masks() if MIN_MASK_AREA < mask.mean() < MAX_MASK_AREA]
    masks = masks[:MAX_MASKS]
    backbone = segmenter.backbone
    height, width = backbone.image_shape[:2]
    transform = ImageTransform(scene.image.shape[:2], (height, width), preprocessing)
    image = transform.apply_image(scene.image)
    refiner = transform.outline_guide(image, backbone.low_res_size)
    if not masks or refiner is None:
        return
    points = np.array([[mask_interior_point(mask)] for mask in masks], np.float32)
    outputs = segmenter.decode(
        segmenter.encode_image(ops.convert_to_tensor(image[None]), training=False),
        points=np.pad(transform.apply_points(points), ((0, 0), (0, 1), (0, 0)))[None],
        labels=np.array([[[1, NOT_A_POINT]] * len(masks)], np.int32),
    )
    logits, iou_pred = (
        ops.convert_to_numpy(ops.cast(outputs[name], "float32"))[0]
        for name in ("masks", "iou_pred")
    )
    for prompt, index in np.ndindex(*iou_pred.shape):
        refined = refiner.refined(logits[prompt, index])
        if refined.support is not None:
            mask = transform.postprocess_masks(refined.low_res_logits[None])[0]
            target = masks[prompt]
            iou = np.count_nonzero(mask & target) / np.count_nonzero(mask | target)
            yield float(iou_pred[prompt, index]), refined.support, iou
