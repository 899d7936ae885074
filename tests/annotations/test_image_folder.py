"""Hugging Face image folders."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_sam.annotations.image_folder import open_image_folder

BOX = [[1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0]]
BOX_MASK = np.pad(np.ones((2, 2), bool), 1)


def write(folder, rows, name="metadata.jsonl"):
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(folder / "a.png")
    Image.fromarray(BOX_MASK).save(folder / "m.png")
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize(
    "row",
    [
        {"file_name": "a.png", "mask": "m.png"},
        {"file_name": "a.png", "mask_file_name": "m.png", "label": 3},
        {"image_file_name": "a.png", "label_file_name": "m.png"},
        {"file_name": "a.png", "segmentation_mask": ["m.png"]},
        {"file_name": "a.png", "objects": [{"segmentation": BOX}]},
        {"file_name": "a.png", "objects": {"segmentation": [BOX], "category": [3], "bbox": []}},
    ],
)
def test_columns_of_masks(tmp_path, row):
    write(tmp_path, [row])
    (image,) = open_image_folder(tmp_path)
    np.testing.assert_array_equal(image.masks(), [BOX_MASK])
    assert image.metadata == row


def test_category_of_an_object(tmp_path):
    objects = [
        {"segmentation": BOX, "category": "cell"},
        {"segmentation": BOX, "label": 3},
        {"segmentation": BOX},
    ]
    write(tmp_path, [{"file_name": "a.png", "objects": objects}])
    (image,) = open_image_folder(tmp_path)
    assert [label.category for label in image.labels()] == ["cell", "3", "object"]


def test_csv_and_rows_without_masks(tmp_path):
    write(tmp_path / "test", [])
    (tmp_path / "test" / "metadata.csv").write_text("file_name,mask\na.png,m.png\na.png,\n")
    images = open_image_folder(tmp_path)
    assert [image.name for image in images] == ["test/a.png"] * 2
    assert [len(image.masks()) for image in images] == [1, 0]


def test_metadata_of_other_tables_are_ignored(tmp_path):
    write(tmp_path, [{"file_name": "a.png", "label": "cat"}])
    write(tmp_path / "x", [{"mask": "m.png"}])
    write(tmp_path / "y", [{"file_name": "a.png", "mask": "m.png"}], "other.jsonl")
    (tmp_path / "metadata.csv").write_text("id,area\n0,4\n")
    assert open_image_folder(tmp_path) == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"file_name": "../a.png", "mask": "m.png"}, "file_name must stay inside"),
        ({"file_name": "a.png", "mask": "/etc/m.png"}, "mask must stay inside"),
        ({"file_name": 3, "mask": "m.png"}, "file_name must be a path, got 3"),
        ({"mask": "m.png"}, "file_name must be a path, got None"),
    ],
)
def test_bad_row_raises_with_its_number(tmp_path, row, message):
    write(tmp_path, [{"file_name": "a.png", "mask": "m.png"}, row])
    with pytest.raises(ValueError, match=f"row 2 of metadata.jsonl: {message}"):
        open_image_folder(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000, b"3"])
def test_damaged_table_raises(tmp_path, content):
    (tmp_path / "metadata.jsonl").write_bytes(content)
    with pytest.raises(ValueError, match=r"metadata.jsonl (is damaged|must be)"):
        open_image_folder(tmp_path)


@pytest.mark.parametrize(
    "objects", [{"bbox": [[1, 2, 3, 4]]}, [{"bbox": 1}], "x", [{"segmentation": 3}]]
)
def test_objects_without_masks_raise(tmp_path, objects):
    write(tmp_path, [{"file_name": "a.png", "objects": objects}])
    (image,) = open_image_folder(tmp_path)
    with pytest.raises(ValueError, match="segmentation"):
        image.masks()
