import h5py
import numpy as np
import pytest

from keras_sam.checkpoints import inspect_checkpoint
from keras_sam.transforms.inference_config import InferenceConfig


def test_report_of_a_preset(preset, tiny):
    calls = []
    report = inspect_checkpoint(preset, progress=lambda count, total: calls.append((count, total)))
    count = len(tiny.arrays)
    assert (report.format, report.class_name, report.tensors) == ("keras", "SAMBackbone", count)
    assert report.parameters == sum(array.size for array in tiny.arrays.values())
    assert (report.dtypes, report.problems, report.license) == (("float32",), (), None)
    assert report.architecture["image_encoder"]["hidden_size"] == 16
    assert report.inference_config == InferenceConfig()
    assert calls == [(index, count) for index in range(1, count + 1)]


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
def test_license_comes_from_the_header_of_the_readme(preset, readme, license):
    (preset / "README.md").write_text(readme)
    assert inspect_checkpoint(preset).license == license


def test_damaged_checkpoint_is_a_problem(preset):
    (preset / "model.weights.h5").write_bytes(b"")
    report = inspect_checkpoint(preset)
    assert (report.format, report.tensors) == (None, 0)
    assert "not an HDF5 file" in report.problems[0]


def test_every_tensor_with_a_problem_is_listed(preset):
    with h5py.File(preset / "model.weights.h5", "r+") as file:
        for token in ("iou_token", "mask_tokens"):
            dataset = file[f"mask_decoder/{token}/vars/0"]
            dataset[...] = np.full(dataset.shape, np.nan, "float32")
    report = inspect_checkpoint(preset)
    assert len(report.problems) == 2
    assert all("NaN" in problem for problem in report.problems)


def test_many_problems_are_summarized(preset):
    with h5py.File(preset / "model.weights.h5", "r+") as file:

        def spoil(name, item):
            if isinstance(item, h5py.Dataset):
                item[...] = np.full(item.shape, np.nan, "float32")

        file.visititems(spoil)
    report = inspect_checkpoint(preset)
    assert len(report.problems) == 21
    assert report.problems[-1] == f"and {report.tensors - 20} more tensors with problems"


def test_missing_path_is_a_problem(tmp_path):
    assert "no directory" in inspect_checkpoint(tmp_path / "nothing").problems[0]
