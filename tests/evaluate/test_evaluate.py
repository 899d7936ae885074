"""`evaluate` with a predictor whose masks are known, and with a model by hand."""

import importlib
import json

import numpy as np
import pytest
from PIL import Image

from keras_sam.annotations.coco import read_coco
from keras_sam.engines.create_engine import create_engine
from keras_sam.evaluate import evaluate
from keras_sam.evaluate.simulate_clicks import next_click
from keras_sam.masks.coco_rle import mask_to_coco_rle
from keras_sam.predict import MultiScalePredictor, Predictor, SAMPredictor
from tests.predict.medsam_reference import predict_like_medsam, sensitive_model

SIZE = (45, 80)
BOXES = [(10, 5, 50, 30), (60, 20, 80, 45)]


def rectangle(x0, y0, x1, y1):
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def iou(mask, target):
    return (mask & target).sum() / (mask | target).sum()


@pytest.fixture
def labeled(image, tmp_path):
    """A data set and its folder: two masks in one image, and an image without any."""
    for name in ("a.png", "b.png"):
        Image.fromarray(image).save(tmp_path / name)
    content = {
        "images": [
            {"id": 7, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]},
            {"id": 8, "file_name": "b.png", "height": SIZE[0], "width": SIZE[1]},
        ],
        "annotations": [
            {"id": index, "image_id": 7, "segmentation": mask_to_coco_rle(rectangle(*box))}
            for index, box in enumerate(BOXES)
        ],
    }
    (tmp_path / "notes.json").write_text(json.dumps(content))
    return read_coco(tmp_path / "notes.json"), tmp_path


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


def test_known_masks_give_known_iou(labeled, image):
    """The targets are 40 and 20 pixels wide, so each IoU is a fraction of the width."""
    predictor, calls = KnownMasks(), []
    result = evaluate(
        predictor, *labeled, progress=lambda completed, total: calls.append((completed, total))
    )
    assert result.box_iou == pytest.approx((38 / 40 + 18 / 20) / 2)
    assert result.point_iou == pytest.approx(0.25)  # of the highest predicted IoU
    assert result.point_oracle_iou == pytest.approx(0.75)
    # Quarters of 10 and 5 pixels grow by 4 and by 8 columns. The second becomes complete.
    assert result.three_point_iou == pytest.approx((22 / 40 + 17 / 20) / 2)
    assert (result.images, result.masks) == (1, 2)
    assert [(group.confidence, group.iou, group.masks) for group in result.calibration] == [
        (pytest.approx(0.2), pytest.approx(0.5), 2),
        (pytest.approx(0.5), pytest.approx(0.75), 2),
        (pytest.approx(0.9), pytest.approx(0.25), 2),
    ]
    assert calls == [(1, 2), (2, 2)]
    np.testing.assert_array_equal(predictor.image, image)


def test_prompts_follow_the_protocol(labeled):
    """A box, a point with three masks, and two corrections of the mask predicted to be best."""
    predictor = KnownMasks()
    evaluate(predictor, *labeled)
    with_box, with_point, *corrections = predictor.calls
    np.testing.assert_array_equal(with_box[2], BOXES)
    assert with_box[4] is False
    points, labels, boxes, mask_inputs, multimask_output = with_point
    assert (boxes, mask_inputs, multimask_output) == (None, None, True)
    assert np.shape(points) == (2, 1, 2)
    assert [target_of(point) for (point,) in points] == BOXES
    np.testing.assert_array_equal(labels, [[1], [1]])
    # Each correction is in the part that the previous mask misses, and has that mask as input.
    widths = [[10, 5], [14, 9]]
    for index, (points, labels, boxes, mask_inputs, multimask_output) in enumerate(corrections):
        assert (boxes, multimask_output) == (None, False)
        np.testing.assert_array_equal(mask_inputs[:, 0, 0], widths[index])
        assert np.shape(points) == (2, 2 + index, 2)
        np.testing.assert_array_equal(labels, np.ones((2, 2 + index)))
        for target, width, prompt in zip(BOXES, widths[index], points, strict=True):
            x, y = prompt[-1]
            assert target[0] + width <= x < target[2]
            assert target[1] <= y < target[3]
    assert len(corrections) == 2


def test_masks_are_predicted_in_groups_that_fit_memory(labeled, monkeypatch):
    whole, parts = KnownMasks(), KnownMasks()
    expected = evaluate(whole, *labeled)
    assert len(whole.calls) == 4  # all masks of the image together
    module = importlib.import_module("keras_sam.evaluate.evaluate")
    monkeypatch.setattr(module, "MAX_MASK_BYTES", 3 * SIZE[0] * SIZE[1])
    assert evaluate(parts, *labeled) == expected
    assert len(parts.calls) == 8


def test_the_number_of_images_and_masks_can_be_limited(labeled):
    result = evaluate(KnownMasks(), *labeled, max_masks=1)
    assert (result.masks, result.box_iou) == (1, pytest.approx(38 / 40))
    calls = []
    evaluate(KnownMasks(), *labeled, max_images=1, progress=lambda *counts: calls.append(counts))
    assert calls == [(1, 1)]


def test_a_correction_is_inside_the_error():
    target = rectangle(5, 5, 25, 15)
    missing_right, extra_top = target.copy(), target.copy()
    missing_right[:, 14:] = False
    extra_top[:5, 5:25] = True
    x, y, label = next_click(missing_right, target)
    assert (14 < x < 25, 5 < y < 15, label) == (True, True, 1)
    x, y, label = next_click(extra_top, target)
    assert (0 < y < 4, label) == (True, 0)
    x, y, label = next_click(target, target)  # without an error, inside the target
    assert (target[y, x], label) == (True, 1)


@pytest.fixture(scope="module")
def engine(segmenter):
    """Engine of `segmenter`. It is shared, so each program is compiled once."""
    return create_engine(segmenter)


@pytest.mark.parametrize("is_multi_scale", [False, True], ids=["SAM", "multi-scale"])
def test_equal_to_a_predictor_used_by_hand(segmenter, engine, image, labeled, is_multi_scale):
    predictor = SAMPredictor(segmenter, engine=engine)
    predictor = MultiScalePredictor(predictor) if is_multi_scale else predictor
    result = evaluate(predictor, *labeled, max_masks=1)
    target = rectangle(*BOXES[0])
    predictor.set_image(image)
    (mask,), _, _ = predictor.predict(box=BOXES[0], multimask_output=False)
    assert result.box_iou == pytest.approx(iou(mask, target), abs=2e-3)
    x, y, _ = next_click(np.zeros(SIZE, bool), target)
    points, labels = [(x, y)], [1]
    masks, predicted_iou, low_res_logits = predictor.predict(points, labels)
    best = int(np.argmax(predicted_iou))
    assert result.point_iou == pytest.approx(iou(masks[best], target), abs=2e-3)
    oracle_iou = max(iou(mask, target) for mask in masks)
    assert result.point_oracle_iou == pytest.approx(oracle_iou, abs=2e-3)
    mask, mask_input = masks[best], low_res_logits[best : best + 1]
    for _ in range(2):
        x, y, label = next_click(mask, target)
        points.append((x, y))
        labels.append(label)
        (mask,), _, mask_input = predictor.predict(
            points, labels, mask_input=mask_input, multimask_output=False
        )
    assert result.three_point_iou == pytest.approx(iou(mask, target), abs=2e-3)
    assert sum(group.masks for group in result.calibration) == 3


def test_box_iou_with_medsams_settings(tiny_segmenter, image, labeled):
    dataset, folder = labeled
    dim_image = image // 3 + 50  # pixels are far from 0 and 255
    Image.fromarray(dim_image).save(folder / "a.png")
    medsam = sensitive_model(tiny_segmenter)
    medsam.inference_config = "medsam"
    result = evaluate(SAMPredictor(medsam), dataset, folder, max_masks=1)
    mask = predict_like_medsam(medsam, dim_image, BOXES[0])[0] > 0.5
    assert result.box_iou == pytest.approx(iou(mask, rectangle(*BOXES[0])), abs=5e-3)


def test_wrong_image_raises(labeled, image):
    dataset, folder = labeled
    Image.fromarray(image[:30]).save(folder / "a.png")
    with pytest.raises(ValueError, match=r"a\.png has size \(30, 80\), .* \(45, 80\)"):
        evaluate(KnownMasks(), dataset, folder)
    (folder / "a.png").unlink()
    with pytest.raises(FileNotFoundError):
        evaluate(KnownMasks(), dataset, folder)


def test_no_masks_raise(labeled):
    with pytest.raises(ValueError, match="no masks to compare with"):
        evaluate(KnownMasks(), *labeled, max_masks=0)
