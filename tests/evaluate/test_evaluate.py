"""`evaluate` with a predictor whose masks are known, and with a model by hand."""

import importlib
import json

import numpy as np
import pytest
from PIL import Image

from keras_sam.annotations.coco import read_coco
from keras_sam.engines.create_engine import create_engine
from keras_sam.evaluate import Target, evaluate
from keras_sam.evaluate.simulate_clicks import next_click
from keras_sam.masks.coco_rle import mask_to_coco_rle
from keras_sam.predict import MultiScalePredictor, SAMPredictor
from tests.evaluate.known_masks import BOXES, SIZE, KnownMasks, iou, rectangle, target_of
from tests.predict.medsam_reference import predict_like_medsam, sensitive_model


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


class SquareMasks(KnownMasks):
    """Predicts the same mask for every prompt."""

    def predict_many(
        self, point_coords=None, point_labels=None, boxes=None, mask_inputs=None, **options
    ):
        count = len(boxes if boxes is not None else point_coords)
        masks = np.tile(rectangle(0, 0, 5, 5), (count, 1, 1, 1))
        return masks, np.ones((count, 1)), np.zeros((count, 1, 4, 4), np.float32)


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


def test_protocols_are_off_by_default(labeled):
    result = evaluate(KnownMasks(), *labeled)
    assert (result.clicks, result.jittered_point_iou, result.box_ap) == (None, None, None)


def test_all_protocols(labeled):
    result = evaluate(KnownMasks(), *labeled, clicks=True, jitter_seed=0, with_box_ap=True)
    assert result.clicks.mean_iou[0] == pytest.approx(0.25)
    assert result.clicks.thresholds[0].nof == 0
    assert result.jittered_point_iou == pytest.approx(0.25)
    # 38 of 40 columns, and 18 of 20: IoU 0.95 and 0.90. One of two targets is right at 0.95.
    assert result.box_ap.ap50 == pytest.approx(1)
    assert 0.9 < result.box_ap.ap < 1
    assert result.box_boundary_iou < result.box_iou


def test_scores_by_size_category_and_mask(labeled):
    dataset, folder = labeled
    result = evaluate(KnownMasks(), dataset, folder)
    assert [score.annotation_id for score in result.scores] == [0, 1]
    assert [score.area for score in result.scores] == [40 * 25, 20 * 25]
    assert np.mean([score.box_iou for score in result.scores]) == result.box_iou
    assert list(result.by_size) == ["small"]
    assert result.by_size["small"].three_point_iou == result.three_point_iou
    assert {name: means.masks for name, means in result.by_category.items()} == {"object": 2}


def test_neighbors_are_prompted_together(image, tmp_path, monkeypatch):
    """Masks of one corner are in one group, and scores keep the order of the file."""
    Image.fromarray(image).save(tmp_path / "a.png")
    corners = [(70, 40), (2, 3), (72, 40), (6, 3), (74, 41), (9, 3)]
    masks = [rectangle(x, y, x + 2, y + 2) for x, y in corners]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}],
        "annotations": [
            {"id": index, "image_id": 1, "segmentation": mask_to_coco_rle(mask)}
            for index, mask in enumerate(masks)
        ],
    }
    (tmp_path / "notes.json").write_text(json.dumps(content))
    module = importlib.import_module("keras_sam.evaluate.evaluate")
    groups = []

    def score_group(predictor, targets, **options):
        groups.append([target.annotation_id for target in targets])
        return real(predictor, targets, **options)

    real = module.score_masks
    monkeypatch.setattr(module, "score_masks", score_group)
    monkeypatch.setattr(module, "MAX_PROMPTS", 3)
    predictor = SquareMasks()
    result = evaluate(predictor, read_coco(tmp_path / "notes.json"), tmp_path)
    assert groups == [[1, 3, 5], [0, 2, 4]]
    assert [score.annotation_id for score in result.scores] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [1]), (7, [7]), (20, [16, 4]), (52, [32, 16, 4])]
)
def test_groups_are_powers_of_two_that_need_no_padding(count, expected):
    module = importlib.import_module("keras_sam.evaluate.evaluate")
    targets = [Target(rectangle(x, 0, x + 1, 1)) for x in range(count)]
    groups = list(module._groups(targets))
    assert [len(group) for group in groups] == expected
    assert sorted(index for group in groups for index in group) == list(range(count))


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
