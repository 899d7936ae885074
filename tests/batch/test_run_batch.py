import dataclasses
import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.part_writer import PartLimits
from keras_sam.batch.run_batch import run_batch
from keras_sam.batch.run_local import LocalOptions
from keras_sam.batch.table import COLUMNS, row_to_record
from keras_sam.batch.table_parts import part_files
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.generator_config import GeneratorConfig
from keras_sam.predict.sam_mask_generator import SAMMaskGenerator


@pytest.fixture(scope="module")
def table(uninterrupted):
    masks = [row for row in uninterrupted if row["kind"] == "mask"]
    statuses = [row for row in uninterrupted if row["kind"] == "image"]
    return masks, statuses


def test_each_image_has_one_status_row(table):
    masks, statuses = table
    ids = [f"b/{i:02d}.png" if i % 2 else f"{i:02d}.png" for i in range(12)]
    assert sorted(row["image_id"] for row in statuses) == sorted(ids)
    assert {row["status"] for row in statuses} == {"ok"}
    assert sum(row["num_masks"] for row in statuses) == len(masks) > 0


def test_status_rows_have_every_column_but_the_error(table):
    _, statuses = table
    names = {column.name for column in COLUMNS if column.rows in ("image", "both")}
    missing = {name for name in names & set(statuses[0]) if statuses[0][name] is None}
    assert missing == {"error_type", "error"}


def test_masks_are_those_of_the_generator(table, images, settings):
    masks, _ = table
    rows = [row for row in masks if row["image_id"] == "b/05.png"]
    generator = SAMMaskGenerator(
        SAMImageSegmenter.from_preset(settings.preset), settings.generator, output_mode="coco_rle"
    )
    records = generator.generate(images / "b" / "05.png")
    assert [row["mask_index"] for row in rows] == list(range(len(records)))
    for row, expected in zip(rows, records, strict=True):
        record = row_to_record(row)
        for key in ("segmentation", "area", "bbox", "point_coords", "crop_box"):
            assert record[key] == expected[key]
        for key in ("predicted_iou", "stability_score"):
            np.testing.assert_allclose(record[key], expected[key], rtol=1e-5)


def test_number_of_threads_does_not_change_the_table(
    inline_workers, images, settings, read_table, uninterrupted, tmp_path
):
    run_batch(images, tmp_path, settings, options=LocalOptions(workers=2, model_threads=2))
    assert read_table(tmp_path) == uninterrupted


def test_stopped_run_is_resumed(fake_workers, images, read_table, tmp_path):
    stop = threading.Event()

    def progress(state):
        assert state.total == 12
        if state.completed:
            stop.set()

    first = run_batch(images, tmp_path / "stopped", progress=progress, stop=stop)
    assert 0 < first.completed <= 12
    second = run_batch(images, tmp_path / "stopped")
    counts = (second.completed_before, second.completed, second.is_complete)
    assert counts == (first.completed, 12 - first.completed, True)
    run_batch(images, tmp_path / "other")
    assert read_table(tmp_path / "stopped") == read_table(tmp_path / "other")


def test_run_that_is_killed_at_random_times_is_resumed(fake_workers, images, read_table, tmp_path):
    run_batch(images, tmp_path / "undisturbed")
    output, delays = tmp_path / "killed", random.Random(0)
    command = [sys.executable, "-m", "tests.batch.fake_workers", str(images), str(output), "0.3"]
    codes = []
    for _ in range(4):
        process = subprocess.Popen(command)
        before = len(part_files(output))
        while process.poll() is None and len(part_files(output)) == before:
            time.sleep(0.005)
        time.sleep(delays.random() * 0.3)  # the time between two parts
        process.kill()
        codes.append(process.wait())
    # On a slow machine the last run may have ended by itself.
    assert codes.count(-signal.SIGKILL) >= 2
    run_batch(images, output)
    assert read_table(output) == read_table(tmp_path / "undisturbed")


def test_complete_table_needs_no_model(fake_workers, images, tmp_path):
    run_batch(images, tmp_path)
    sys.modules["keras_sam.batch.load_processors"].load_processors = None
    again = run_batch(images, tmp_path)
    assert (again.completed_before, again.completed, again.is_complete) == (12, 0, True)


def test_results_before_an_exception_are_kept(fake_workers, images, tmp_path):
    def progress(state):
        if state.completed:
            raise RuntimeError("the terminal is gone")

    with pytest.raises(RuntimeError, match="the terminal is gone"):
        run_batch(images, tmp_path, progress=progress)
    assert run_batch(images, tmp_path).completed_before > 0


def test_other_settings_raise(fake_workers, images, tmp_path):
    source = [images / "00.png"]
    run_batch(source, tmp_path)
    other = BatchSettings(generator=GeneratorConfig(points_per_side=4))
    with pytest.raises(ValueError, match=r"generator\.points_per_side was 32 and is now 4"):
        run_batch(source, tmp_path, other)
    with pytest.raises(ValueError, match="source was 'a list'"):
        run_batch(images, tmp_path)


def test_other_weights_under_the_same_name_raise(fake_workers, images, tmp_path):
    run_batch([images / "00.png"], tmp_path)
    manifest = tmp_path / "_manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"model_hash": "0" * 16}))
    with pytest.raises(ValueError, match="model_hash was '0000000000000000'"):
        run_batch([images / "00.png", images / "02.png"], tmp_path)
    assert len(part_files(tmp_path)) == 1


def test_model_that_cannot_be_loaded_raises(inline_workers, images, settings, tmp_path):
    wrong = dataclasses.replace(settings, preset=str(tmp_path / "nothing"))
    with pytest.raises(RuntimeError, match="nothing"):
        run_batch(images, tmp_path / "out", wrong)


def test_second_run_in_a_folder_raises(fake_workers, images, tmp_path):
    errors = []

    def progress(state):
        with pytest.raises(ValueError, match="another run is writing to") as error:
            run_batch(images, tmp_path)
        errors.append(error)

    assert run_batch(images, tmp_path, progress=progress).is_complete
    assert errors


def test_part_limits_set_the_number_of_parts(fake_workers, images, read_table, tmp_path):
    options = LocalOptions(part_limits=PartLimits(max_bytes=1))
    run_batch(images, tmp_path / "many", options=options)
    run_batch(images, tmp_path / "one")
    assert len(part_files(tmp_path / "many")) == 12
    assert len(part_files(tmp_path / "one")) == 1
    assert read_table(tmp_path / "many") == read_table(tmp_path / "one")


def test_temporary_files_of_a_killed_run_are_removed(fake_workers, images, tmp_path):
    temporary, other = tmp_path / ".0123456789abcdef.part", tmp_path / "notes.txt"
    temporary.write_bytes(b"PAR1")
    other.write_text("notes")
    run_batch(images, tmp_path)
    assert not temporary.exists()
    assert other.exists()


def test_retry_errors_processes_only_images_with_an_error(
    fake_workers, images, read_table, tmp_path
):
    late = tmp_path / "late.png"
    paths, output = [images / "00.png", late], tmp_path / "out"
    assert run_batch(paths, output).errors == 1
    shutil.copy(images / "02.png", late)
    assert run_batch(paths, output).completed == 0
    again = run_batch(paths, output, retry_errors=True)
    assert (again.completed_before, again.completed, again.errors) == (1, 1, 0)
    statuses = [row["status"] for row in read_table(output) if row["kind"] == "image"]
    assert statuses == ["ok", "ok"]
