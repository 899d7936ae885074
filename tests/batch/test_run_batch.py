import dataclasses
import inspect
import json
import shutil
import sys
import threading

import numpy as np
import pytest

from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.directory_lock import directory_lock
from keras_sam.batch.local_runner import LocalOptions
from keras_sam.batch.part_writer import PartLimits, part_files
from keras_sam.batch.run_batch import run_batch
from keras_sam.batch.table import COLUMNS, row_to_record
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.mask_generator import SAMMaskGenerator


@pytest.fixture(scope="module")
def table(uninterrupted):
    masks = [row for row in uninterrupted if row["kind"] == "mask"]
    images = [row for row in uninterrupted if row["kind"] == "image"]
    return masks, images


def test_each_image_has_one_status_row(table):
    masks, images = table
    ids = [f"b/{i:02d}.png" if i % 2 else f"{i:02d}.png" for i in range(12)]
    assert sorted(row["image_id"] for row in images) == sorted(ids)
    assert {row["status"] for row in images} == {"ok"}
    assert sum(row["num_masks"] for row in images) == len(masks) > 0


def test_rows_have_the_columns_of_their_kind(table):
    for kind, rows in zip(("mask", "image"), table, strict=True):
        wanted = {column.name for column in COLUMNS if column.rows in (kind, "both")}
        for row in rows:
            assert {name for name, value in row.items() if value is not None} <= wanted


def test_status_rows_tell_what_made_them(table):
    _, images = table
    facts = images[0]
    assert facts["preset"].endswith("tiny")
    assert len(facts["revision"]) == 16
    assert None not in (facts["keras_sam"], facts["keras"], facts["backend_version"])


def test_masks_are_those_of_the_generator(table, photographs, settings):
    masks, _ = table
    rows = [row for row in masks if row["image_id"] == "b/05.png"]
    generator = SAMMaskGenerator(
        SAMImageSegmenter.from_preset(settings.preset),
        output_mode="coco_rle",
        **settings.generator_arguments(),
    )
    records = generator.generate(photographs / "b" / "05.png")
    assert [row["mask_index"] for row in rows] == list(range(len(records)))
    for row, record in zip(rows, records, strict=True):
        found = row_to_record(row)
        for key in ("segmentation", "area", "bbox", "point_coords", "crop_box"):
            assert found[key] == record[key]
        for key in ("predicted_iou", "stability_score"):
            np.testing.assert_allclose(found[key], record[key], rtol=1e-5)


def test_threads_give_the_same_table(
    inline_workers, photographs, settings, read_table, uninterrupted, tmp_path
):
    options = LocalOptions(workers=2, model_threads=2)
    run_batch(photographs, tmp_path, settings, options=options)
    assert read_table(tmp_path) == uninterrupted


def test_goes_on_after_a_stop_with_what_is_missing(
    inline_workers, photographs, settings, read_table, uninterrupted, tmp_path
):
    stop = threading.Event()

    def progress(state):
        if state.done:
            stop.set()

    first = run_batch(photographs, tmp_path, settings, progress=progress, stop=stop)
    assert 0 < first.done <= 12
    second = run_batch(photographs, tmp_path, settings)
    assert (second.done_before, second.done) == (first.done, 12 - first.done)
    assert second.is_complete
    assert read_table(tmp_path) == uninterrupted


def test_nothing_is_loaded_when_nothing_is_missing(fake_workers, photographs, tmp_path):
    run_batch(photographs, tmp_path)
    sys.modules["keras_sam.batch.load_processors"].load_processors = None
    again = run_batch(photographs, tmp_path)
    assert (again.done_before, again.done, again.is_complete) == (12, 0, True)


def test_other_settings_are_refused(fake_workers, photographs, tmp_path):
    only = [photographs / "00.png"]
    run_batch(only, tmp_path)
    with pytest.raises(ValueError, match="points_per_side was 32 and is 4"):
        run_batch(only, tmp_path, BatchSettings(points_per_side=4))
    with pytest.raises(ValueError, match="input was 'a list'"):
        run_batch(photographs, tmp_path)


def test_other_weights_under_the_same_name_are_refused(fake_workers, photographs, tmp_path):
    run_batch([photographs / "00.png"], tmp_path)
    manifest = tmp_path / "_manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"revision": "0" * 16}))
    with pytest.raises(ValueError, match="revision was '0000000000000000'"):
        run_batch([photographs / "00.png", photographs / "02.png"], tmp_path)
    assert len(part_files(tmp_path)) == 1


def test_a_damaged_manifest_and_a_damaged_part_are_told(fake_workers, photographs, tmp_path):
    run_batch([photographs / "00.png"], tmp_path)
    part = part_files(tmp_path)[0]
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"part-.* is damaged; without it, its images are done"):
        run_batch([photographs / "00.png"], tmp_path)
    (tmp_path / "_manifest.json").write_text("[]")
    with pytest.raises(ValueError, match=r"_manifest\.json is damaged"):
        run_batch([photographs / "00.png"], tmp_path)


def test_a_model_that_cannot_be_loaded_ends_the_run(
    inline_workers, photographs, settings, tmp_path
):
    wrong = dataclasses.replace(settings, preset=str(tmp_path / "nothing"))
    with pytest.raises(RuntimeError, match="no directory, no file and no built-in preset"):
        run_batch(photographs, tmp_path / "out", wrong)


def test_one_run_at_a_time(fake_workers, photographs, tmp_path):
    with directory_lock(tmp_path), pytest.raises(ValueError, match="another run"):
        run_batch(photographs, tmp_path)


def test_parts_are_bounded_by_size(fake_workers, photographs, read_table, tmp_path):
    run_batch(photographs, tmp_path / "many", limits=PartLimits(size=1))
    run_batch(photographs, tmp_path / "one")
    assert len(part_files(tmp_path / "many")) == 12
    assert len(part_files(tmp_path / "one")) == 1
    assert read_table(tmp_path / "many") == read_table(tmp_path / "one")


def test_what_a_killed_run_left_half_written_goes(fake_workers, photographs, tmp_path):
    left, other = tmp_path / ".0123456789abcdef.part", tmp_path / "notes.txt"
    left.write_bytes(b"PAR1")
    other.write_text("of somebody else")
    run_batch(photographs, tmp_path)
    assert not left.exists()
    assert other.exists()


def test_errors_are_done_again_when_asked_for(fake_workers, photographs, tmp_path, read_table):
    late = tmp_path / "late.png"
    paths = [photographs / "00.png", late]
    assert run_batch(paths, tmp_path / "out").errors == 1
    shutil.copy(photographs / "02.png", late)
    assert run_batch(paths, tmp_path / "out").done == 0
    again = run_batch(paths, tmp_path / "out", retry_errors=True)
    assert (again.done_before, again.done, again.errors) == (1, 1, 0)
    statuses = [row["status"] for row in read_table(tmp_path / "out") if row["kind"] == "image"]
    assert statuses == ["ok", "ok"]


def test_defaults_are_those_of_the_generator():
    parameters = inspect.signature(SAMMaskGenerator).parameters
    for name, value in BatchSettings().generator_arguments().items():
        assert parameters[name].default == value
