"""A predictor whose masks are known, and the rectangles that it knows."""

import numpy as np

from keras_sam.predict import Predictor

SIZE = (45, 80)
BOXES = [(10, 5, 50, 30), (60, 20, 80, 45)]


def rectangle(x0, y0, x1, y1):
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def iou(mask, target):
    return (mask & target).sum() / (mask | target).sum()


class KnownMasks(Predictor):
    """Predicts known rectangles, and records its prompts.

    A box gets the rectangle that is 2 pixels narrower. A point in a target gets its left quarter,
    half and three quarters, with predicted IoU 0.9, 0.2 and 0.5. Further points get the previous
    mask, with 4 columns more on its right per point.
    """

    def __init__(self):
        self.image = None
        self.calls = []

    def set_image(self, image, image_format="RGB"):
        self.image = image

    def reset_image(self):
        self.image = None

    @property
    def is_image_set(self):
        return self.image is not None

    @property
    def original_size(self):
        return SIZE

    def predict_many(
        self,
        point_coords=None,
        point_labels=None,
        boxes=None,
        mask_inputs=None,
        *,
        multimask_output=True,
        return_logits=False,
    ):
        self.calls.append((point_coords, point_labels, boxes, mask_inputs, multimask_output))
        if boxes is not None:
            masks = [[rectangle(*np.add(box, (0, 0, -2, 0)).astype(int))] for box in boxes]
            iou_predictions = np.ones((len(boxes), 1))
        elif mask_inputs is None:
            targets = [target_of(points[0]) for points in point_coords]
            masks = [
                [left_part(target, share) for share in (0.25, 0.5, 0.75)] for target in targets
            ]
            iou_predictions = np.tile([0.9, 0.2, 0.5], (len(targets), 1))
        else:  # the mask input contains the width of the mask, see below
            widths = mask_inputs[:, 0, 0] + 4 * (np.shape(point_coords)[1] - 1)
            masks = [
                [rectangle(x0, y0, int(x0 + width), y1)]
                for (x0, y0, _, y1), width in zip(
                    (target_of(points[0]) for points in point_coords), widths, strict=True
                )
            ]
            iou_predictions = np.ones((len(widths), 1))
        masks = np.array(masks)
        widths = masks.any(axis=2).sum(axis=2).astype(np.float32)
        return masks, iou_predictions, np.tile(widths[..., None, None], (1, 1, 4, 4))


def target_of(point):
    """Return the box that contains a point."""
    x, y = point
    return next(box for box in BOXES if box[0] <= x < box[2] and box[1] <= y < box[3])


def left_part(box, share):
    x0, y0, x1, y1 = box
    return rectangle(x0, y0, int(x0 + share * (x1 - x0)), y1)
