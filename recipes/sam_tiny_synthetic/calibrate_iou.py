"""`calibrate_iou`: what masks are worth whose outlines were moved."""

from collections.abc import Iterable, Iterator

import numpy as np
from keras import ops

from keras_sam.layers.prompts import NOT_A_POINT
from keras_sam.masks.measures import mask_interior_point
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import Preprocessing
from recipes.sam_tiny_synthetic.batches import MAX_SHARE
from recipes.sam_tiny_synthetic.scenes import Scene, draw_scene

MIN_SHARE = 0.004  # of a scene, for a mask to be asked for
MOST_MASKS = 16  # of a scene


def calibrate_iou(
    segmenter: SAMImageSegmenter, seeds: Iterable[int]
) -> tuple[float, float, float] | None:
    """The ratings of `Preprocessing`, by least squares over the masks of scenes.

    Each mask of a scene is asked for by a click deepest inside it. What is fitted is the IoU that
    the model's masks have with it when their outlines were moved.

    Args:
        segmenter: the model; its preprocessing has outlines "image".
        seeds: of the scenes; others than those of training.

    Returns:
        The three numbers, or `None` if no outline was moved.
    """
    preprocessing = Preprocessing(**segmenter.preprocessing | {"ratings": None})
    rows = [row for seed in seeds for row in _rated(segmenter, preprocessing, draw_scene(seed))]
    if not rows:
        return None
    by_model, supports, ious = np.array(rows).T
    terms = np.stack([by_model, supports, np.ones_like(ious)], axis=1)
    solution = np.linalg.lstsq(terms, ious, rcond=None)[0]
    first, second, constant = (round(float(one), 3) for one in solution)
    return first, second, constant


def _rated(
    segmenter: SAMImageSegmenter, preprocessing: Preprocessing, scene: Scene
) -> Iterator[tuple[float, float, float]]:
    """The model's rating, the support and the IoU of each mask whose outline was moved."""
    masks = [mask for mask in scene.masks() if MIN_SHARE < mask.mean() < MAX_SHARE][:MOST_MASKS]
    backbone = segmenter.backbone
    height, width = backbone.image_shape[:2]
    frame = ImageTransform(scene.image.shape[:2], (height, width), preprocessing)
    image = frame.apply_image(scene.image)
    guide = frame.outline_guide(image, backbone.low_res_size)
    if not masks or guide is None:
        return
    clicks = np.array([[mask_interior_point(mask)] for mask in masks], np.float32)
    outputs = segmenter.decode(
        segmenter.encode_image(ops.convert_to_tensor(image[None]), training=False),
        points=np.pad(frame.apply_points(clicks), ((0, 0), (0, 1), (0, 0)))[None],
        labels=np.array([[[1, NOT_A_POINT]] * len(masks)], np.int32),
    )
    logits, ratings = (
        ops.convert_to_numpy(ops.cast(outputs[name], "float32"))[0]
        for name in ("masks", "iou_pred")
    )
    for index, number in np.ndindex(*ratings.shape):
        outlined = guide.refined(logits[index, number])
        if outlined.support is not None:
            found, true = frame.postprocess_masks(outlined.low_res_logits[None])[0], masks[index]
            iou = np.count_nonzero(found & true) / np.count_nonzero(found | true)
            yield float(ratings[index, number]), outlined.support, iou
