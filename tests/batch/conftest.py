"""A tiny preset, a folder of small photographs, and tables without what differs between runs."""

import sys

import numpy as np
import pytest
from PIL import Image

from keras_sam.batch.batch_settings import BatchSettings
from tests.batch.fake_workers import fake_module, use_inline_workers

NOT_THE_SAME_TWICE = [
    "decode_seconds",
    "encode_seconds",
    "generate_seconds",
    "finished_at",
]


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
    """Of a model that rates at random: everything passes."""
    return BatchSettings(
        preset=str(preset), points_per_side=3, pred_iou_thresh=0.0, stability_score_thresh=0.0
    )


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """A folder of 12 pictures, half of them in a folder below."""
    root = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    (root / "b").mkdir()
    for index in range(12):
        pixels = random.integers(0, 256, (30 + index, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / ("b" if index % 2 else ".") / f"{index:02d}.png")
    return root


@pytest.fixture(scope="session")
def read_table():
    """Reads a table, sorted, without timings."""
    import pyarrow.parquet as pq

    def read(directory):
        rows = pq.read_table(directory).drop_columns(NOT_THE_SAME_TWICE)
        keys = [("kind", "ascending"), ("image_id", "ascending"), ("mask_index", "ascending")]
        return rows.sort_by(keys).to_pylist()

    return read


@pytest.fixture
def inline_workers(monkeypatch):
    """Workers are threads of this process, with a model."""
    use_inline_workers(monkeypatch.setattr)


@pytest.fixture
def fake_workers(inline_workers, monkeypatch):
    """Workers are threads without a model."""
    monkeypatch.setitem(sys.modules, "keras_sam.batch.load_processors", fake_module())


@pytest.fixture(scope="session")
def uninterrupted(photographs, settings, read_table, tmp_path_factory):
    """The rows of a run that nothing disturbed."""
    from keras_sam.batch.run_batch import run_batch

    output = tmp_path_factory.mktemp("uninterrupted")
    summary = run_batch(photographs, output, settings)
    assert (summary.done, summary.errors, summary.is_complete) == (12, 0, True)
    return read_table(output)
