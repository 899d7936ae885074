"""Meta's automatic mask generation, written plainly: every mask of every point at full size."""

import numpy as np
from scipy import ndimage

from keras_sam.masks.coco_rle import coco_rle_to_mask

OPTIONS = {
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
}
CROP_EDGE = 20


def generate_reference(predictor, image, **options):
    """Return all masks of an image, as dictionaries."""
    options = OPTIONS | options
    height, width = image.shape[:2]
    masks = []
    for layer in range(options["crop_n_layers"] + 1):
        side = options["points_per_side"] // options["crop_n_points_downscale_factor"] ** layer
        for crop in crops_of_layer(layer, height, width, options["crop_overlap_ratio"]):
            crop_masks = predict_crop(predictor, image, crop, side, options)
            masks += nms_by_iou(crop_masks, options)
    if options["crop_n_layers"]:
        areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (mask["crop"] for mask in masks)]
        masks = nms(masks, [1 / area for area in areas], options["crop_nms_thresh"])
    if options["min_mask_region_area"]:
        masks = clean(masks, options)
    return masks


def crops_of_layer(layer, height, width, overlap_ratio):
    """Return the crops of one layer, XYXY."""
    count = 2**layer
    if layer == 0:
        return [(0, 0, width, height)]
    overlap = int(overlap_ratio * min(height, width) * (2 / count))
    crop_width = int(np.ceil((overlap * (count - 1) + width) / count))
    crop_height = int(np.ceil((overlap * (count - 1) + height) / count))
    corners = [
        (i * (crop_width - overlap), j * (crop_height - overlap))
        for i in range(count)
        for j in range(count)
    ]
    return [(x, y, min(x + crop_width, width), min(y + crop_height, height)) for x, y in corners]


def predict_crop(predictor, image, crop, side, options):
    """Return the masks of a crop that pass all thresholds."""
    x0, y0, x1, y1 = crop
    predictor.set_image(np.ascontiguousarray(image[y0:y1, x0:x1]))
    masks = []
    for row in range(side):
        for column in range(side):
            point = (column + 0.5) / side * (x1 - x0), (row + 0.5) / side * (y1 - y0)
            masks += predict_point(predictor, point, crop, image.shape[:2], options)[0]
    return masks


def predict_point(predictor, point, crop, size, options):
    """Return the masks of a point in a crop that pass, and the highest predicted IoU."""
    logits, predicted_iou, _ = predictor.predict(
        np.array([point]), np.array([1]), return_logits=True
    )
    position = {"point": (point[0] + crop[0], point[1] + crop[1]), "crop": crop}
    masks = [
        filter_mask(mask_logits, iou, crop, size, OPTIONS | options)
        for mask_logits, iou in zip(logits, predicted_iou, strict=True)
    ]
    return [mask | position for mask in masks if mask is not None], max(predicted_iou)


def filter_mask(logits, predicted_iou, crop, size, options):
    """Return a mask with its measures, or None if it does not pass."""
    offset = options["stability_score_offset"]
    inner, outer = (logits > offset).sum(), (logits > -offset).sum()
    if options["pred_iou_thresh"] > 0 and not predicted_iou > options["pred_iou_thresh"]:
        return None
    stability = inner / outer if outer else np.nan
    if options["stability_score_thresh"] > 0 and not stability >= options["stability_score_thresh"]:
        return None
    mask = np.zeros(size, bool)
    mask[crop[1] : crop[3], crop[0] : crop[2]] = logits > 0
    box = inclusive_box(mask, crop)
    image_box = (0, 0, size[1], size[0])
    for side, crop_side, image_side in zip(box, crop, image_box, strict=True):
        if abs(side - crop_side) <= CROP_EDGE and not abs(side - image_side) <= CROP_EDGE:
            return None
    return {"mask": mask, "predicted_iou": predicted_iou, "stability_score": stability, "box": box}


def inclusive_box(mask, crop=(0, 0)):
    """Return the box XYXY up to the last pixel, as Meta has it."""
    y, x = np.nonzero(mask)
    return (x.min(), y.min(), x.max(), y.max()) if len(x) else (crop[0], crop[1]) * 2


def nms_by_iou(masks, options):
    """Drop duplicates with a lower predicted IoU."""
    return nms(masks, [mask["predicted_iou"] for mask in masks], options["box_nms_thresh"])


def nms(masks, scores, threshold):
    """Drop masks whose box overlaps that of a mask with a higher score."""
    order = sorted(range(len(masks)), key=lambda index: (-scores[index], index))
    kept = []
    for index in order:
        if all(box_iou(masks[index]["box"], mask["box"]) <= threshold for mask in kept):
            kept.append(masks[index])
    return kept


def box_iou(box, other):
    """Return the IoU of two boxes, or 0 if both are empty."""
    width = max(0, min(box[2], other[2]) - max(box[0], other[0]))
    height = max(0, min(box[3], other[3]) - max(box[1], other[1]))
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (box, other)]
    union = sum(areas) - width * height
    return width * height / union if union else 0.0


def clean(masks, options):
    """Remove small holes and islands, then duplicates. Unchanged masks have priority."""
    cleaned, scores = [], []
    for mask in masks:
        filled = ~remove_small(~mask["mask"], options, keep_largest=False)
        pixels = remove_small(filled, options)
        is_same = bool((pixels == mask["mask"]).all())
        box = mask["box"] if is_same else inclusive_box(pixels)
        cleaned.append(mask | {"mask": pixels, "box": box})
        scores.append(float(is_same))
    return nms(cleaned, scores, max(options["box_nms_thresh"], options["crop_nms_thresh"]))


def remove_small(pixels, options, *, keep_largest=True):
    """Remove small regions of `pixels`. If all are small, the largest may stay."""
    labels, count = ndimage.label(pixels, np.ones((3, 3)))
    areas = [(labels == label).sum() for label in range(1, count + 1)]
    large = [
        label
        for label in range(1, count + 1)
        if areas[label - 1] >= options["min_mask_region_area"]
    ]
    if not large and keep_largest and count:
        large = [1 + int(np.argmax(areas))]
    return np.isin(labels, large)


def assert_equal_records(records, expected):
    """Compare records with reference masks, in order."""
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
        np.testing.assert_allclose(record["predicted_iou"], mask["predicted_iou"], atol=1e-4)
        np.testing.assert_allclose(record["stability_score"], mask["stability_score"], atol=2e-3)
        np.testing.assert_allclose(record["point_coords"], [mask["point"]])
        left, top, right, bottom = mask["crop"]
        assert record["crop_box"] == [left, top, right - left, bottom - top]
