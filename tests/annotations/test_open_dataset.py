"""One toy data set in every format, and hostile folders."""

import json
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from keras_sam.annotations import open_dataset
from keras_sam.annotations.coco import write_coco
from keras_sam.annotations.labelme import write_labelme
from keras_sam.annotations.mask_record import AnnotatedImage, mask_to_record
from keras_sam.annotations.open_dataset import DATASET_FORMATS
from keras_sam.annotations.yolo import write_yolo

SIZES = {"a.png": (20, 31), "sub/b.jpg": (33, 17), "c.tif": (12, 12)}


def disc(size, y, x, radius, hole=0):
    rows, columns = np.ogrid[: size[0], : size[1]]
    distance = np.hypot(rows - y, columns - x)
    return (distance < radius) & (distance >= hole)


MASKS = {
    "a.png": {"cell": disc((20, 31), 6, 6, 5, 2), "rod": disc((20, 31), 12, 22, 7)},
    "sub/b.jpg": {"cell": disc((33, 17), 20, 8, 6)},
    "c.tif": {},
}


def save_images(folder):
    for name, size in SIZES.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)).save(path)


def annotated():
    return [
        AnnotatedImage(
            name, size, [mask_to_record(mask, category=key) for key, mask in MASKS[name].items()]
        )
        for name, size in SIZES.items()
    ]


def save_png(mask, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def write_coco_rle(folder):
    save_images(folder / "images")
    write_coco(annotated(), folder / "annotations.json")


def write_coco_polygons(folder):
    """As downloaded from COCO: train2017/ and annotations/instances_train2017.json."""
    save_images(folder / "train2017")
    (folder / "annotations").mkdir()
    write_coco(annotated(), folder / "annotations" / "instances_train2017.json", format="polygons")


def write_coco_crowds(folder):
    """Uncompressed RLEs, and a crowd in each image."""
    write_coco_rle(folder)
    content = json.loads((folder / "annotations.json").read_text())
    for entry in content["annotations"]:
        mask = coco_mask.decode(entry["segmentation"]).ravel(order="F")
        changes = np.flatnonzero(np.diff(mask, prepend=0))
        counts = np.diff(changes, prepend=0, append=len(mask)).tolist()
        entry["segmentation"] = {"size": entry["segmentation"]["size"], "counts": counts}
    for entry in content["images"]:
        entry["patient"] = entry["file_name"]
        size = [entry["height"], entry["width"]]
        crowd = {"size": size, "counts": [0, size[0] * size[1]]}
        content["annotations"].append(
            {"id": 100, "image_id": entry["id"], "segmentation": crowd, "iscrowd": 1}
        )
    (folder / "annotations.json").write_text(json.dumps(content))


def write_labelme_files(folder, *, image_path=None, format="polygons"):
    save_images(folder)
    for image in annotated():
        path = folder / Path(image.file_name).with_suffix(".json")
        name = Path(image.file_name).name if image_path is None else image_path
        write_labelme(AnnotatedImage(name, image.size, image.records), path, format=format)


def write_labelme_windows(folder):
    """JSON files of other names than their images, in a folder of their own."""
    save_images(folder / "images")
    (folder / "json").mkdir()
    for index, image in enumerate(annotated()):
        name = "..\\images\\" + image.file_name.replace("/", "\\")
        write_labelme(
            AnnotatedImage(name, image.size, image.records), folder / f"json/{index}.json"
        )
    (folder / "json" / "flags.json").write_text("{}")


def write_yolo_split(folder):
    """The layout of Roboflow: train/images and train/labels."""
    save_images(folder / "train" / "images")
    write_yolo(annotated(), folder / "train")
    names = "[cell, rod]"
    (folder / "data.yaml").write_text(f"train: ../train/images\nnc: 2\nnames: {names}\n")
    (folder / "train" / "data.yaml").unlink()


def write_yolo_folder(folder):
    save_images(folder / "images")
    write_yolo(annotated(), folder)


def write_yolo_flat(folder):
    """Labels next to their images, and classes.txt."""
    write_yolo(annotated(), folder)
    save_images(folder / "labels")
    (folder / "labels").rename(folder / "all")
    (folder / "data.yaml").unlink()
    (folder / "classes.txt").write_text("cell\nrod\n")


def write_label_maps(folder):
    save_images(folder / "images")
    for name, masks in MASKS.items():
        labels = np.zeros(SIZES[name], np.uint16)
        for index, mask in enumerate(masks.values()):
            labels[mask] = 300 * (index + 1)
        save_png(labels, folder / "masks" / Path(name).with_suffix(".png"))


def write_binary_masks(folder):
    save_images(folder)
    for name, masks in MASKS.items():
        for index, mask in enumerate(masks.values()):
            path = folder / "masks" / Path(name).with_suffix("")
            save_png(mask, path.with_name(f"{path.name}_{index}.png"))


def write_mask_folders(folder):
    save_images(folder / "img")
    for name, masks in MASKS.items():
        for index, mask in enumerate(masks.values()):
            path = folder / "masks" / Path(name).with_suffix("")
            save_png(mask.astype(np.uint8) * np.uint8(255), path / f"{index}.png")


def write_metadata_files(folder):
    save_images(folder)
    rows = []
    for name, masks in MASKS.items():
        files = [f"masks/{Path(name).stem}{index}.png" for index in range(len(masks))]
        for file, mask in zip(files, masks.values(), strict=True):
            save_png(mask, folder / file)
        rows.append({"file_name": name, "masks_file_names": files, "patient": name[0]})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_metadata_objects(folder):
    """Two metadata files, with objects as a dictionary of lists and as a list."""
    save_images(folder)
    for metadata, names in (("sub", ["b.jpg"]), (".", ["a.png", "c.tif"])):
        lines = ""
        for name in names:
            masks = MASKS[str(Path(metadata, name))]
            objects = [
                {"category": key, "segmentation": mask_to_record(mask)["segmentation"]}
                for key, mask in masks.items()
            ]
            if metadata == "sub":
                objects = {key: [entry[key] for entry in objects] for key in objects[0]}
            lines += json.dumps({"file_name": name, "objects": objects}) + "\n"
        (folder / metadata / "metadata.jsonl").write_text(lines)


WRITERS = [
    ("coco", write_coco_rle, True),
    ("coco", write_coco_polygons, True),
    ("coco", write_coco_crowds, True),
    ("labelme", write_labelme_files, True),
    ("labelme", write_labelme_windows, True),
    ("yolo", write_yolo_folder, True),
    ("yolo", write_yolo_split, True),
    ("yolo", write_yolo_flat, True),
    ("masks", write_label_maps, False),
    ("masks", write_binary_masks, False),
    ("masks", write_mask_folders, False),
    ("huggingface", write_metadata_files, False),
    ("huggingface", write_metadata_objects, True),
]


@pytest.mark.parametrize(
    ("format", "write", "has_categories"), WRITERS, ids=lambda value: getattr(value, "__name__", "")
)
def test_masks_equal_the_written_ones(tmp_path, format, write, has_categories):
    write(tmp_path)
    dataset = open_dataset(tmp_path)
    assert dataset.format == format
    assert len(dataset) == 3
    for name, masks in MASKS.items():
        (image,) = (image for image in dataset.images if image.path.name == Path(name).name)
        assert image.name.endswith(name)
        assert image.size() == SIZES[name]
        expected = np.array(list(masks.values()), bool).reshape(-1, *SIZES[name])
        np.testing.assert_array_equal(image.masks(), expected)
        if has_categories:
            assert [label.category for label in image.labels()] == list(masks)


@pytest.mark.parametrize("write", [row[1] for row in WRITERS[::2]])
def test_dataset_can_be_sent_to_another_process(tmp_path, write):
    write(tmp_path)
    dataset = open_dataset(tmp_path)
    copy = ForkingPickler.loads(ForkingPickler.dumps(dataset))
    for image, copied in zip(dataset.images, copy.images, strict=True):
        np.testing.assert_array_equal(image.masks(), copied.masks())


@pytest.mark.parametrize("format", DATASET_FORMATS)
def test_folder_without_masks_raises_with_the_expected_files(tmp_path, format):
    save_images(tmp_path)
    with pytest.raises(ValueError, match=r"has no images with masks. Expected one of") as error:
        open_dataset(tmp_path)
    assert all(f"\n- {name}: " in str(error.value) for name in DATASET_FORMATS)
    with pytest.raises(ValueError, match=rf"Expected\n- {format}: [^\n]+$"):
        open_dataset(tmp_path, format=format)


def test_image_dir_of_each_kind(tmp_path):
    write_labelme_files(tmp_path / "labelme")
    write_coco(annotated(), tmp_path / "labelme" / "coco.json")
    write_yolo(annotated(), tmp_path / "yolo")
    images = tmp_path / "elsewhere"
    save_images(images)
    for folder, format in (("labelme", "coco"), ("labelme", "labelme"), ("yolo", "yolo")):
        dataset = open_dataset(tmp_path / folder, format=format, image_dir=images)
        assert {image.name: image.path for image in dataset.images} == {
            name: images / name for name in SIZES
        }
        assert sum(len(image.masks()) for image in dataset.images) == 3
    dataset = open_dataset(tmp_path / "labelme" / "coco.json", image_dir=images)
    assert dataset.images[0].path == images / "a.png"


def test_metadata_of_images_can_group_a_split(tmp_path):
    for folder, write in (("hf", write_metadata_files), ("coco", write_coco_crowds)):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder)
        assert len(open_dataset(tmp_path / folder).partition("patient")) == 3


def test_several_coco_files_raise_with_their_names(tmp_path):
    write_coco_rle(tmp_path)
    write_coco(annotated(), tmp_path / "test.json")
    with pytest.raises(ValueError, match=r"several COCO files, pass one of them: annotations.json"):
        open_dataset(tmp_path)
    assert len(open_dataset(tmp_path / "test.json")) == 3


def test_wrong_arguments_raise(tmp_path):
    with pytest.raises(ValueError, match=r"format must be one of coco, labelme.* got 'voc'"):
        open_dataset(tmp_path, format="voc")
    with pytest.raises(FileNotFoundError, match="there is no folder at"):
        open_dataset(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="there is no folder at"):
        open_dataset(tmp_path, image_dir=tmp_path / "missing")
    with pytest.raises(TypeError, match="folder must be a str or a Path, got int"):
        open_dataset(3)


def test_damaged_coco_file_raises_with_its_name(tmp_path):
    (tmp_path / "bad.json").write_text('{"images": [], "annotations": [')
    with pytest.raises(ValueError, match=r"bad.json is not valid JSON"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("name", ["../outside.png", "/etc/passwd", "sub/../../outside.png"])
def test_labelme_images_stay_inside_the_folder(tmp_path, name):
    Image.new("RGB", (4, 3)).save(tmp_path / "outside.png")
    folder = tmp_path / "set"
    folder.mkdir()
    write_labelme(AnnotatedImage(name, (3, 4)), folder / "x.json")
    (image,) = open_dataset(folder).images
    assert image.path.is_relative_to(folder)
    assert not image.path.exists()


def test_damaged_labelme_file_does_not_stop_the_others(tmp_path):
    write_labelme_files(tmp_path)
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "lost.json").write_text("[")
    images = {image.name: image for image in open_dataset(tmp_path).images}
    assert sorted(images) == ["a.png", "c.tif", "lost.json", "sub/b.jpg"]
    with pytest.raises(ValueError, match=r"a.json is not valid JSON"):
        images["a.png"].masks()
    assert len(images["sub/b.jpg"].masks()) == 1


def test_points_and_lines_of_labelme_are_skipped(tmp_path):
    write_labelme_files(tmp_path)
    content = json.loads((tmp_path / "a.json").read_text())
    content["shapes"].append({"label": "x", "shape_type": "point", "points": [[1, 1]]})
    (tmp_path / "a.json").write_text(json.dumps(content))
    images = {image.name: image for image in open_dataset(tmp_path).images}
    assert len(images["a.png"].masks()) == 2


def test_yolo_image_without_a_label_file_has_no_masks(tmp_path):
    write_yolo_folder(tmp_path)
    (tmp_path / "labels" / "a.txt").unlink()
    images = {image.name: image for image in open_dataset(tmp_path).images}
    assert images["images/a.png"].masks().shape == (0, 20, 31)
