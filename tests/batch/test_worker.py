"""What an image can be, and what a worker makes of it."""

import os
import queue

import numpy as np
import pytest
from PIL import Image

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.worker import Ready, WorkerSettings, work
from keras_sam.masks.coco_rle import coco_rle_to_mask
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.predictor import SAMPredictor


@pytest.fixture(scope="module")
def results(settings):
    """The results of a worker, by id."""

    def run(images, **changes):
        inputs, outputs = queue.Queue(), queue.Queue()
        settings_of_worker = WorkerSettings(
            BatchSettings(**settings.to_dict() | {"max_pixels": 10_000} | changes)
        )
        for message in (settings_of_worker, *images, None):
            inputs.put(message)
        work(inputs.get, outputs.put)
        assert isinstance(outputs.get(), Ready)
        found = [outputs.get() for _ in images]
        return {result.image_id: result for result in found}

    return run


@pytest.fixture(scope="module")
def poison(tmp_path_factory):
    """A folder of a good image and of all that can be wrong with one, and the errors."""
    tmp_path = tmp_path_factory.mktemp("poison")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    good = Image.fromarray(pixels)
    good.save(tmp_path / "good.png")
    data = (tmp_path / "good.png").read_bytes()
    (tmp_path / "jpeg_by_name.jpg").write_bytes(data)
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    Image.new("L", (5_000, 5_000)).save(tmp_path / "bomb.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "dead_link.png").symlink_to(tmp_path / "nothing")
    # As what may not be read, it cannot be opened, and that for root as well.
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    return tmp_path, {
        "cut": "ImageError",
        "empty": "ImageError",
        "text": "ImageError",
        "bomb": "TooManyPixelsError",
        "folder": "ImageError",
        "dead_link": "FileNotFoundError",
        "loop": "ImageError",
        "pipe": "ImageError",
        "missing": "FileNotFoundError",
    }


def test_bad_images_are_errors_and_good_ones_are_done(poison, results):
    folder, errors = poison
    names = [*errors, "good", "jpeg_by_name"]
    paths = {name: next(folder.glob(f"{name}.*"), folder / f"{name}.png") for name in names}
    found = results([BatchImage(name, str(path)) for name, path in paths.items()])
    assert {name: found[name].error_type for name in errors} == errors
    for name in errors:
        assert found[name].masks == []
        assert "\n" not in found[name].error
    for name in ("good", "jpeg_by_name"):
        assert not found[name].is_error
        assert found[name].masks
        assert min(found[name].seconds.values()) > 0
    assert found["good"].masks == found["jpeg_by_name"].masks


def test_prompts_give_the_masks_of_the_predictor(poison, results, settings):
    folder, _ = poison
    path = str(folder / "good.png")
    points = [[[10, 12]], [[10, 12], [30, 20]], None]
    boxes = [None, None, [5, 6, 30, 35]]
    found = results([BatchImage("good", path, points=points, boxes=boxes)])["good"]
    assert [mask["prompt_index"] for mask in found.masks] == [0, 0, 0, 1, 2]
    predictor = SAMPredictor(SAMImageSegmenter.from_preset(settings.preset))
    predictor.set_image(path)
    masks, ratings, _ = predictor.predict(points[0], [1])
    best = found.masks[0]
    assert best["predicted_iou"] == pytest.approx(ratings.max(), rel=1e-4)
    np.testing.assert_array_equal(coco_rle_to_mask(best["segmentation"]), masks[ratings.argmax()])
    masks, _, _ = predictor.predict(box=boxes[2], multimask_output=False)
    np.testing.assert_array_equal(coco_rle_to_mask(found.masks[4]["segmentation"]), masks[0])
    assert found.masks[4]["point_coords"] == [[17.5, 20.5]]


@pytest.mark.parametrize(("multimask", "count"), [(True, 6), (False, 2), (None, 4)])
def test_multimask_output_decides_how_many(poison, results, multimask, count):
    folder, _ = poison
    image = BatchImage(
        "good", str(folder / "good.png"), points=[[[10, 12]], None], boxes=[None, [5, 6, 30, 35]]
    )
    found = results([image], multimask_output=multimask)["good"]
    assert len(found.masks) == count


def test_wrong_prompts_are_the_error_of_their_image_alone(poison, results):
    folder, _ = poison
    path = str(folder / "good.png")
    found = results(
        [
            BatchImage("json", path, boxes="[[1, 2"),
            BatchImage("outside", path, points=[[[1000, 2]]]),
            BatchImage("good", path, boxes=[[1, 2, 30, 30]]),
        ]
    )
    assert found["json"].error_type == "ValueError"
    assert "outside the image" in found["outside"].error
    assert found["outside"].size == (40, 50)
    assert len(found["good"].masks) == 1


def test_masks_of_a_box_end_at_it_where_the_model_says_so(poison, results, settings, tmp_path):
    path, box = str(poison[0] / "good.png"), [5, 6, 30, 35]
    segmenter = SAMImageSegmenter.from_preset(settings.preset)
    for hypernetwork in segmenter.backbone.mask_decoder.hypernetworks:
        for weight in hypernetwork.weights[-2:]:
            weight.assign(-weight)  # masks that were empty are full
    found = {}
    for box_masks in ("free", "inside"):
        segmenter.preprocessing = {"box_masks": box_masks}
        segmenter.save_to_preset(tmp_path / box_masks)
        image = BatchImage(box_masks, path, boxes=[box])
        preset = str(tmp_path / box_masks)
        found |= results([image], multimask_output=True, preset=preset)
    inside = np.zeros((40, 50), bool)
    inside[6:35, 5:30] = True
    masks = [coco_rle_to_mask(mask["segmentation"]) for mask in found["free"].masks]
    assert any((mask & ~inside).any() for mask in masks)
    for mask, record in zip(masks, found["inside"].masks, strict=True):
        np.testing.assert_array_equal(coco_rle_to_mask(record["segmentation"]), mask & inside)
        assert record["area"] == np.count_nonzero(mask & inside)
