"""A plain rendering of Meta's everything mode: all masks of all points in full at once."""

from pathlib import Path

import numpy as np
from scipy import ndimage

import keras_sam
from keras_sam.masks.coco_rle import coco_rle_to_mask

SIZE = (70, 100)
PHOTOGRAPH = Path(keras_sam.__file__).parent / "assets" / "coffee.jpg"
# Thresholds that a part of the masks of the shipped preset passes.
SETTINGS = {
    "points_per_side": 4,
    "points_per_batch": 8,
    "pred_iou_thresh": 0.25,
    "stability_score_thresh": 0.6,
}


def everything(predictor, image, **settings):
    """Meta's everything mode, step by step: all masks of all points in full at once."""
    options = {
        "points_per_side": 32,
        "pred_iou_thresh": 0.88,
        "stability_score_thresh": 0.95,
        "stability_score_offset": 1.0,
        "box_nms_thresh": 0.7,
        "crop_n_layers": 0,
        "crop_nms_thresh": 0.7,
        "crop_overlap_ratio": 512 / 1500,
        "crop_n_points_downscale_factor": 1,
        "min_mask_region_area": 0,
    } | settings
    height, width = image.shape[:2]
    found = []
    for layer in range(options["crop_n_layers"] + 1):
        side = options["points_per_side"] // options["crop_n_points_downscale_factor"] ** layer
        for box in crops_of(layer, height, width, options["crop_overlap_ratio"]):
            kept = in_crop(predictor, image, box, side, options)
            found += best(kept, options)
    if options["crop_n_layers"]:
        areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (mask["crop"] for mask in found)]
        found = suppress(found, [1 / area for area in areas], options["crop_nms_thresh"])
    if options["min_mask_region_area"]:
        found = clean(found, options)
    return found


def crops_of(layer, height, width, ratio):
    count = 2**layer
    if layer == 0:
        return [(0, 0, width, height)]
    overlap = int(ratio * min(height, width) * (2 / count))
    wide = int(np.ceil((overlap * (count - 1) + width) / count))
    high = int(np.ceil((overlap * (count - 1) + height) / count))
    corners = [
        (i * (wide - overlap), j * (high - overlap)) for i in range(count) for j in range(count)
    ]
    return [(x, y, min(x + wide, width), min(y + high, height)) for x, y in corners]


def in_crop(predictor, image, box, side, options):
    x0, y0, x1, y1 = box
    predictor.set_image(np.ascontiguousarray(image[y0:y1, x0:x1]))
    kept = []
    for row in range(side):
        for column in range(side):
            point = (column + 0.5) / side * (x1 - x0), (row + 0.5) / side * (y1 - y0)
            kept += at_point(predictor, point, box, image.shape[:2], options)[0]
    return kept


def at_point(predictor, point, box, size, options):
    """The masks that pass, and the best rating."""
    logits, ratings, _ = predictor.predict(np.array([point]), np.array([1]), return_logits=True)
    place = {"point": (point[0] + box[0], point[1] + box[1]), "crop": box}
    masks = [
        judged(mask_logits, rating, box, size, options)
        for mask_logits, rating in zip(logits, ratings, strict=True)
    ]
    return [mask | place for mask in masks if mask is not None], max(ratings)


def judged(logits, rating, box, size, options):
    """The mask in the frame of the image, or None if it does not pass."""
    offset = options["stability_score_offset"]
    inner, outer = (logits > offset).sum(), (logits > -offset).sum()
    if options["pred_iou_thresh"] > 0 and not rating > options["pred_iou_thresh"]:
        return None
    stability = inner / outer if outer else np.nan
    if options["stability_score_thresh"] > 0 and not stability >= options["stability_score_thresh"]:
        return None
    mask = np.zeros(size, bool)
    mask[box[1] : box[3], box[0] : box[2]] = logits > 0
    edges = edges_of(mask, box)
    frame = (0, 0, size[1], size[0])
    for edge, crop_edge, image_edge in zip(edges, box, frame, strict=True):
        if abs(edge - crop_edge) <= 20 and not abs(edge - image_edge) <= 20:
            return None
    return {"mask": mask, "rating": rating, "stability": stability, "box": edges}


def edges_of(mask, crop=(0, 0)):
    """XYXY with the last pixels included, as Meta has boxes."""
    y, x = np.nonzero(mask)
    return (x.min(), y.min(), x.max(), y.max()) if len(x) else (crop[0], crop[1]) * 2


def best(masks, options):
    """Of duplicates the one with the highest rating."""
    return suppress(masks, [mask["rating"] for mask in masks], options["box_nms_thresh"])


def suppress(masks, scores, threshold):
    order = sorted(range(len(masks)), key=lambda index: (-scores[index], index))
    kept = []
    for index in order:
        if all(iou(masks[index]["box"], mask["box"]) <= threshold for mask in kept):
            kept.append(masks[index])
    return kept


def iou(a, b):
    wide = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    area = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - wide * high
    return wide * high / area if area else 0.0


def clean(masks, options):
    cleaned, untouched = [], []
    for mask in masks:
        pixels = without_small(~without_small(~mask["mask"], options, keep=False), options)
        same = bool((pixels == mask["mask"]).all())
        box = mask["box"] if same else edges_of(pixels)
        cleaned.append(mask | {"mask": pixels, "box": box})
        untouched.append(float(same))
    return suppress(cleaned, untouched, max(options["box_nms_thresh"], options["crop_nms_thresh"]))


def without_small(pixels, options, *, keep=True):
    """Without the small regions of `pixels`; the largest stays if `keep` and all are small."""
    labels, count = ndimage.label(pixels, np.ones((3, 3)))
    sizes = [(labels == label).sum() for label in range(1, count + 1)]
    large = [
        label
        for label in range(1, count + 1)
        if sizes[label - 1] >= options["min_mask_region_area"]
    ]
    if not large and keep and count:
        large = [1 + int(np.argmax(sizes))]
    return np.isin(labels, large)


def assert_equal_records(records, expected):
    assert len(records) == len(expected) > 1
    for record, mask in zip(records, expected, strict=True):
        segmentation = record["segmentation"]
        if isinstance(segmentation, dict):
            segmentation = coco_rle_to_mask(segmentation)
        union = (segmentation | mask["mask"]).sum()
        assert (segmentation & mask["mask"]).sum() >= 0.999 * union
        assert record["area"] == segmentation.sum()
        x0, y0, x1, y1 = mask["box"]
        assert record["bbox"] == [x0, y0, x1 - x0, y1 - y0]
        np.testing.assert_allclose(record["predicted_iou"], mask["rating"], atol=1e-4)
        np.testing.assert_allclose(record["stability_score"], mask["stability"], atol=2e-3)
        np.testing.assert_allclose(record["point_coords"], [mask["point"]])
        left, top, right, bottom = mask["crop"]
        assert record["crop_box"] == [left, top, right - left, bottom - top]
