"""What is said of whole and of damaged checkpoints."""

import h5py
import numpy as np
import pytest

from keras_sam.checkpoints.inspect_checkpoint import inspect_checkpoint


def test_a_preset(preset, tiny):
    seen = []
    found = inspect_checkpoint(preset, progress=lambda done, total: seen.append((done, total)))
    count = len(tiny.arrays)
    assert (found.format, found.class_name, found.tensors) == ("keras", "SAMBackbone", count)
    assert found.parameters == sum(array.size for array in tiny.arrays.values())
    assert (found.dtypes, found.problems, found.license) == (("float32",), (), None)
    assert found.architecture["image_encoder"]["hidden_size"] == 16
    assert found.preprocessing["resize"] == "longest_side"
    assert seen[-1] == (count, count)


@pytest.mark.parametrize(
    ("readme", "license"),
    [
        ("---\nlicense: apache-2.0\n---\n# Model", "apache-2.0"),
        ("---\ntags: [a]\nlicense: 'cc0-1.0'\n---\n", "cc0-1.0"),
        ("# Model\nlicense: mit\n", None),
        ("---\ntags: [a]\n---\nlicense: mit\n", None),
        ("---\nlicense: " + "x" * 1000 + "\n---\n", None),
    ],
)
def test_the_license_is_that_of_the_readme(preset, readme, license):
    (preset / "README.md").write_text(readme)
    assert inspect_checkpoint(preset).license == license


def test_a_damaged_checkpoint_is_a_problem(preset):
    (preset / "model.weights.h5").write_bytes(b"")
    found = inspect_checkpoint(preset)
    assert (found.format, found.tensors) == (None, 0)
    assert "not an HDF5 file" in found.problems[0]


def test_every_tensor_with_a_problem_is_listed(preset):
    with h5py.File(preset / "model.weights.h5", "r+") as file:
        for token in ("iou_token", "mask_tokens"):
            dataset = file[f"mask_decoder/{token}/vars/0"]
            dataset[...] = np.full(dataset.shape, np.nan, "float32")
    found = inspect_checkpoint(preset)
    assert len(found.problems) == 2
    assert all("NaN" in problem for problem in found.problems)


def test_nothing_there(tmp_path):
    assert "no directory" in inspect_checkpoint(tmp_path / "nothing").problems[0]
