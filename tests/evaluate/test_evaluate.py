"""The figures of `evaluate` against the predictor used by hand."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_sam.annotations.coco import read_coco
from keras_sam.engines.engine import Engine
from keras_sam.evaluate.evaluate import evaluate, next_click
from keras_sam.masks.coco_rle import mask_to_coco_rle
from keras_sam.masks.measures import mask_interior_point
from keras_sam.predict.multi_scale_predictor import MultiScalePredictor
from keras_sam.predict.predictor import SAMPredictor


@pytest.fixture
def labeled(image, tmp_path):
    """Two masks on one image, and an image without any."""
    masks = np.zeros((2, *image.shape[:2]), bool)
    masks[0, 5:30, 10:50] = True
    masks[1, 20:45, 60:80] = True
    for name in ("a.png", "b.png"):
        Image.fromarray(image).save(tmp_path / name)
    content = {
        "images": [
            {"id": 7, "file_name": "a.png", "height": 45, "width": 80},
            {"id": 8, "file_name": "b.png", "height": 45, "width": 80},
        ],
        "annotations": [
            {"id": 1 + index, "image_id": 7, "segmentation": mask_to_coco_rle(mask)}
            for index, mask in enumerate(masks)
        ],
    }
    (tmp_path / "notes.json").write_text(json.dumps(content))
    return read_coco(tmp_path / "notes.json"), tmp_path, masks


def iou(found, mask):
    return (found & mask).sum() / (found | mask).sum()


def test_figures_equal_those_by_hand(segmenter, image, labeled):
    dataset, folder, masks = labeled
    calls = []
    result = evaluate(
        segmenter, dataset, folder, progress=lambda done, total: calls.append((done, total))
    )
    predictor = SAMPredictor(segmenter)
    predictor.set_image(image)
    box, click, best, corrected = [], [], [], []
    for mask, corners in zip(masks, ([10, 5, 50, 30], [60, 20, 80, 45]), strict=True):
        box.append(iou(predictor.predict(box=corners, multimask_output=False)[0][0], mask))
        points, labels = [mask_interior_point(mask)], [1]
        found, rated, logits = predictor.predict(points, labels)
        scores = [iou(one, mask) for one in found]
        click.append(scores[int(np.argmax(rated))])
        best.append(max(scores))
        chosen = int(np.argmax(rated))
        last, logits = found[chosen], logits[chosen]
        for _ in range(2):
            x, y = mask_interior_point(last ^ mask)
            points.append((x, y))
            labels.append(int(mask[y, x]))
            masks_found, _, logits = predictor.predict(
                points,
                labels,
                mask_input=logits.reshape(1, *logits.shape[-2:]),
                multimask_output=False,
            )
            last = masks_found[0]
        corrected.append(iou(last, mask))
    assert result.box == pytest.approx(np.mean(box), abs=2e-3)
    assert result.click == pytest.approx(np.mean(click), abs=2e-3)
    assert result.point_oracle_iou == pytest.approx(np.mean(best), abs=2e-3)
    assert result.three_point_iou == pytest.approx(np.mean(corrected), abs=2e-3)
    assert (result.images, result.masks) == (1, 2)
    assert sum(one.masks for one in result.calibration) == 2 * 3
    assert calls == [(1, 2), (2, 2)]


def test_figures_of_a_closer_look_equal_those_by_hand(segmenter, image, labeled):
    dataset, folder, masks = labeled
    zoomed = MultiScalePredictor(SAMPredictor(segmenter))
    result = evaluate(zoomed, dataset, folder)
    zoomed.set_image(image)
    box, click, corrected = [], [], []
    for mask, corners in zip(masks, ([10, 5, 50, 30], [60, 20, 80, 45]), strict=True):
        box.append(iou(zoomed.predict(box=corners, multimask_output=False)[0][0], mask))
        points, labels = [mask_interior_point(mask)], [1]
        found, rated = zoomed.predict(points, labels, return_logits=True)
        last = found[int(np.argmax(rated))]
        click.append(iou(last > 0, mask))
        for _ in range(2):
            x, y = mask_interior_point((last > 0) ^ mask)
            points.append((x, y))
            labels.append(int(mask[y, x]))
            (last,), _ = zoomed.predict(
                points, labels, mask_input=last, multimask_output=False, return_logits=True
            )
        corrected.append(iou(last > 0, mask))
    assert result.box == pytest.approx(np.mean(box), abs=2e-3)
    assert result.click == pytest.approx(np.mean(click), abs=2e-3)
    assert result.three_point_iou == pytest.approx(np.mean(corrected), abs=2e-3)


def test_only_the_first_masks_count(segmenter, labeled):
    dataset, folder, _ = labeled
    assert evaluate(segmenter, dataset, folder, max_masks=1).masks == 1


def test_a_correction_is_deep_in_what_is_wrong():
    mask = np.zeros((20, 30), bool)
    mask[5:15, 5:25] = True
    missed, taken = mask.copy(), mask.copy()
    missed[5:15, 14:25] = False
    taken[0:5] = True
    x, y, label = next_click(missed, mask)
    assert (14 < x < 25, 5 < y < 15, label) == (True, True, 1)
    x, y, label = next_click(taken, mask)
    assert (0 < y < 4, label) == (True, 0)
    assert next_click(mask, mask)[2] == 1


def test_masks_of_all_prompts_are_decoded_together(segmenter, labeled, monkeypatch):
    dataset, folder, _ = labeled
    decode, calls = Engine.decode, []

    def counted(self, *args, **kwargs):
        calls.append(kwargs)
        return decode(self, *args, **kwargs)

    monkeypatch.setattr(Engine, "decode", counted)
    evaluate(segmenter, dataset, folder)
    assert len(calls) == 4  # boxes, clicks, and two corrections of those


def test_another_size_and_a_missing_image_are_refused(segmenter, image, labeled):
    dataset, folder, _ = labeled
    Image.fromarray(image[:30]).save(folder / "a.png")
    with pytest.raises(ValueError, match="size"):
        evaluate(segmenter, dataset, folder)
    (folder / "a.png").unlink()
    with pytest.raises(FileNotFoundError):
        evaluate(segmenter, dataset, folder)
