"""`box_ap`: COCO average precision of the masks for target boxes."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_sam.evaluate.score_masks import BoxMask
from keras_sam.masks.coco_rle import coco_rle_to_counts

MIN_DETECTIONS = 100  # per image and category, as in COCO


@dataclass(frozen=True)
class BoxAP:
    """Average precision (AP) of masks that were predicted from target boxes, in [0, 1].

    Attributes:
        ap: Mean AP at the IoU 0.50, 0.55, ..., 0.95.
        ap50: AP at the IoU 0.50.
        ap75: AP at the IoU 0.75.
        ap_small: `ap` of targets below 32 * 32 pixels. `None` without such targets.
        ap_medium: `ap` of targets from 32 * 32 to 96 * 96 pixels, or `None`.
        ap_large: `ap` of larger targets, or `None`.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None


def box_ap(masks: Sequence[BoxMask]) -> BoxAP:
    """Compute COCO's average precision of masks, scored by their predicted IoU.

    COCO's evaluation keeps the 100 best masks of an image and category. Here all are kept, since
    each target has its own mask. Crowds are ignored, and so are the masks predicted for them.

    Args:
        masks: Targets and the masks predicted for their boxes.

    Raises:
        ImportError: If pycocotools is not installed.
        ValueError: If there are no targets other than crowds.
    """
    if all(mask.is_crowd for mask in masks):
        raise ValueError("box AP needs at least one target that is not a crowd, got none")
    evaluation = _evaluate(masks)
    # (IoU thresholds, recalls, categories, areas, numbers of detections); -1 without targets
    precision = evaluation.eval["precision"][..., -1]
    ious, areas = evaluation.params.iouThrs, evaluation.params.areaRngLbl
    by_area = {name: _mean(precision[..., index]) for index, name in enumerate(areas)}
    by_iou = {
        iou: _mean(precision[np.isclose(ious, iou)][..., areas.index("all")]) for iou in (0.5, 0.75)
    }
    return BoxAP(
        ap=by_area["all"] or 0.0,
        ap50=by_iou[0.5] or 0.0,
        ap75=by_iou[0.75] or 0.0,
        ap_small=by_area["small"],
        ap_medium=by_area["medium"],
        ap_large=by_area["large"],
    )


def require_pycocotools() -> None:
    """Check that pycocotools is installed.

    Raises:
        ImportError: If it is not, with the command that installs it.
    """
    try:
        import pycocotools.cocoeval  # noqa: F401
    except ImportError as error:
        raise ImportError("box AP needs pycocotools: pip install pycocotools") from error


def _evaluate(masks: Sequence[BoxMask]) -> Any:
    """Run COCO's evaluation."""
    require_pycocotools()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    targets, detections = COCO(), COCO()
    targets.dataset, detections.dataset = _to_coco(masks)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        targets.createIndex()
        detections.createIndex()
        evaluation = COCOeval(targets, detections, "segm")
        evaluation.params.maxDets = [max(MIN_DETECTIONS, len(masks))]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def _to_coco(masks: Sequence[BoxMask]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return COCO datasets of the targets and of the predicted masks."""
    sizes = {mask.file_name: mask.target["size"] for mask in masks}
    image_ids = {name: index for index, name in enumerate(sorted(sizes), 1)}
    categories = sorted({mask.category for mask in masks})
    shared = {
        "images": [
            {"id": image_ids[name], "height": size[0], "width": size[1]}
            for name, size in sizes.items()
        ],
        "categories": [{"id": index, "name": name} for index, name in enumerate(categories, 1)],
    }
    targets, detections = [], []
    for index, mask in enumerate(masks, 1):
        keys = {
            "id": index,
            "image_id": image_ids[mask.file_name],
            "category_id": categories.index(mask.category) + 1,
        }
        targets.append(
            keys
            | {
                "segmentation": mask.target,
                "area": _rle_area(mask.target),
                "iscrowd": int(mask.is_crowd),
            }
        )
        if not mask.is_crowd:
            area = _rle_area(mask.mask)
            detections.append(
                keys | {"segmentation": mask.mask, "area": area, "score": mask.predicted_iou}
            )
    return shared | {"annotations": targets}, shared | {"annotations": detections}


def _rle_area(rle: dict[str, Any]) -> int:
    return sum(coco_rle_to_counts(rle)[1::2])


def _mean(precision: np.ndarray) -> float | None:
    """Return the mean of the entries of targets, or `None` if there are none."""
    values = precision[precision > -1]
    return float(values.mean()) if values.size else None
