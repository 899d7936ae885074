"""Box AP against COCO's evaluation of files, and by hand."""

import json
import sys

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_sam.evaluate import BoxMask, box_ap
from keras_sam.evaluate.box_ap import require_pycocotools
from keras_sam.masks.coco_rle import mask_to_coco_rle
from keras_sam.masks.measures import mask_area

SIZE = (60, 70)


def box_mask(target, mask, score, *, file_name="a.png", category="cat", is_crowd=False):
    rles = mask_to_coco_rle(target), mask_to_coco_rle(mask)
    return BoxMask(file_name, category, is_crowd, *rles, score)


def rectangle(x0, y0, x1, y1):
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def random_masks(rng, count):
    masks = []
    for _ in range(count):
        x, y = rng.integers(0, 20, 2)
        width, height = rng.integers(8, 41, 2)
        target = rectangle(x, y, x + width, y + height)
        mask = np.roll(target, rng.integers(-5, 6), axis=1)
        name, category = rng.choice(["a.png", "b.png"]), rng.choice(["cat", "dog"])
        score = float(rng.random())
        masks.append(box_mask(target, mask, score, file_name=name, category=category))
    return masks


def reference_ap(masks, folder):
    """COCO's evaluation of files, as in its example."""
    names = ["a.png", "b.png"]
    targets, results = [], []
    for index, one in enumerate(masks, 1):
        keys = {
            "image_id": names.index(one.file_name) + 1,
            "category_id": ["cat", "dog"].index(one.category) + 1,
        }
        area = int(mask_area(_decode(one.target)))
        targets.append(
            keys
            | {"id": index, "segmentation": one.target, "area": area}
            | {"bbox": [0, 0, 1, 1], "iscrowd": int(one.is_crowd)}
        )
        if not one.is_crowd:
            results.append(keys | {"segmentation": one.mask, "score": one.predicted_iou})
    images = [
        {"id": index, "file_name": name, "height": SIZE[0], "width": SIZE[1]}
        for index, name in enumerate(names, 1)
    ]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    path = folder / "targets.json"
    path.write_text(
        json.dumps({"images": images, "categories": categories, "annotations": targets})
    )
    dataset = COCO(str(path))
    evaluation = COCOeval(dataset, dataset.loadRes(results), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[:6]


def _decode(rle):
    from pycocotools import mask

    return mask.decode(rle)


def test_equal_to_cocos_evaluation_of_files(tmp_path, capsys):
    rng = np.random.default_rng(0)
    masks = random_masks(rng, 40)
    crowd = rectangle(0, 0, 30, 30)
    masks.append(box_mask(crowd, crowd, 1.0, is_crowd=True))
    expected = reference_ap(masks, tmp_path)
    capsys.readouterr()
    result = box_ap(masks)
    assert capsys.readouterr().out == ""
    found = [result.ap, result.ap50, result.ap75, result.ap_small, result.ap_medium]
    np.testing.assert_allclose(found, expected[:5], atol=1e-12)
    assert 0 < result.ap75 < result.ap50 < 1
    assert (result.ap_large, expected[5]) == (None, -1)


def test_masks_that_are_right_have_ap_1():
    masks = [rectangle(0, 0, 10, 10), rectangle(20, 20, 70, 60)]
    result = box_ap([box_mask(mask, mask, 0.5) for mask in masks])
    found = [result.ap, result.ap50, result.ap75, result.ap_small, result.ap_medium]
    assert found == pytest.approx([1] * 5)


def test_more_than_100_masks_of_an_image_are_kept():
    pixels = [rectangle(x, y, x + 2, y + 2) for x in range(0, 60, 4) for y in range(0, 40, 4)]
    assert len(pixels) > 100
    assert box_ap([box_mask(mask, mask, 0.5) for mask in pixels]).ap == pytest.approx(1)


def test_no_target_raises():
    mask = rectangle(0, 0, 5, 5)
    with pytest.raises(ValueError, match="at least one target that is not a crowd"):
        box_ap([box_mask(mask, mask, 1.0, is_crowd=True)])
    with pytest.raises(ValueError, match="at least one target"):
        box_ap([])


def test_missing_pycocotools_is_named(monkeypatch):
    require_pycocotools()
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    with pytest.raises(ImportError, match="pip install pycocotools"):
        require_pycocotools()
