import numpy as np

from benchmarks.random_checkpoint import random_checkpoint
from benchmarks.write_model import write_model
from keras_sam.checkpoints import read_checkpoint


def test_all_formats_have_the_same_weights(tmp_path):
    files = write_model("tiny", tmp_path)
    assert files.image_size == 128
    expected = random_checkpoint("tiny").arrays
    for path in (files.keras, files.transformers):
        arrays = read_checkpoint(path).arrays
        assert set(arrays) == set(expected)
        for name in arrays:
            np.testing.assert_array_equal(arrays[name], expected[name])


def test_files_are_used_again(tmp_path):
    files = write_model("tiny", tmp_path)
    config = files.keras / "config.json"
    time = config.stat().st_mtime_ns
    assert write_model("tiny", tmp_path) == files
    assert config.stat().st_mtime_ns == time


def test_file_for_code_of_meta_is_written_if_it_has_the_model(tmp_path):
    assert write_model("tiny", tmp_path, with_meta=True).meta.exists()
    trained = write_model("trained", tmp_path, with_meta=True)  # has another number of heads
    assert trained.keras.exists()
    assert not trained.meta.exists()
