"""Paths from strangers."""

import pytest

from keras_sam.files.check_file_name import check_file_name


@pytest.mark.parametrize("name", ["a.jpg", "train/a b.jpg", "a..b.jpg", "./a.jpg"])
def test_path_inside_the_folder_is_returned(name):
    assert check_file_name(name) == name


@pytest.mark.parametrize(
    "name", ["../a.jpg", "x/../../a.jpg", "/etc/passwd", "C:\\a.jpg", "..\\a.jpg", "\\\\host\\a"]
)
def test_path_outside_the_folder_raises(name):
    with pytest.raises(ValueError, match=r"mask must stay inside the image folder, got"):
        check_file_name(name, key="mask")


@pytest.mark.parametrize("name", [None, 3, "", "a\0.jpg", ["a.jpg"]])
def test_other_value_raises(name):
    with pytest.raises(ValueError, match="file_name must be a path, got"):
        check_file_name(name)
