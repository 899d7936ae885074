"""A tiny preset, a folder of small images, and tables without what differs between runs."""

import sys

import numpy as np
import pytest
from PIL import Image

from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.predict.generator_config import GeneratorConfig
from tests.batch.fake_workers import InlineWorker, fake_module

VARIABLE_COLUMNS = ["decode_seconds", "encode_seconds", "generate_seconds", "finished_at"]


@pytest.fixture(scope="session")
def preset(tmp_path_factory):
    """A directory with a tiny model of random weights."""
    from tests.tiny_model import tiny_model

    model = tiny_model(num_layers=1)
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.normal(0, 0.3, weight.shape).astype("float32"))
    directory = tmp_path_factory.mktemp("presets") / "tiny"
    model.save_to_preset(directory)
    return directory


@pytest.fixture(scope="session")
def settings(preset):
    """Settings that keep every mask, since the predicted IoUs are random."""
    generator = GeneratorConfig(points_per_side=3, pred_iou_thresh=0.0, stability_score_thresh=0.0)
    return BatchSettings(preset=str(preset), generator=generator)


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder of 12 images, half of them in a subfolder."""
    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    (root / "b").mkdir()
    for index in range(12):
        pixels = random.integers(0, 256, (30 + index, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / ("b" if index % 2 else ".") / f"{index:02d}.png")
    return root


@pytest.fixture(scope="session")
def read_table():
    """A function that reads a table, sorted, without times."""
    import pyarrow.parquet as pq

    def read(directory):
        rows = pq.read_table(directory).drop_columns(VARIABLE_COLUMNS)
        keys = [("kind", "ascending"), ("image_id", "ascending"), ("mask_index", "ascending")]
        return rows.sort_by(keys).to_pylist()

    return read


@pytest.fixture
def inline_workers(monkeypatch):
    """Workers are threads of this process, with a model."""
    monkeypatch.setattr("keras_sam.batch.run_local.WorkerProcess", InlineWorker)


@pytest.fixture
def fake_workers(inline_workers, monkeypatch):
    """Workers are threads of this process, without a model."""
    monkeypatch.setitem(sys.modules, "keras_sam.batch.load_processors", fake_module())


@pytest.fixture(scope="session")
def uninterrupted(images, settings, read_table, tmp_path_factory):
    """The rows of a run with a worker process that nothing disturbed."""
    from keras_sam.batch.run_batch import run_batch

    output = tmp_path_factory.mktemp("uninterrupted")
    summary = run_batch(images, output, settings)
    assert (summary.completed, summary.errors, summary.is_complete) == (12, 0, True)
    return read_table(output)
