"""Labeled images: lazy masks, and splits."""

import numpy as np
import pytest
from PIL import Image

from keras_sam.annotations.labeled_dataset import LabeledDataset, LabeledImage, LabeledMask


def dataset(names, folder="x"):
    images = [
        LabeledImage(name, f"{folder}/{name}", list, {"patient": name[0]} if name else {})
        for name in names
    ]
    return LabeledDataset(tuple(images), "coco", folder)


def names_of(part):
    return [image.name for image in part.images]


NAMES = [f"{patient}{index:02}.png" for patient in "abcdefghij" for index in range(10)]


def test_split_has_the_given_shares_and_every_image_once():
    parts = dataset(NAMES).split(val=0.15, test=0.2, seed=1)
    assert [len(part) for part in parts] == [65, 15, 20]
    assert sorted(name for part in parts for name in names_of(part)) == NAMES
    assert all(names_of(part) == sorted(names_of(part)) for part in parts)
    assert parts[0].format == "coco"


def test_split_depends_on_names_and_seed_only():
    first = [set(names_of(part)) for part in dataset(NAMES).split(seed=1)]
    assert first == [set(names_of(part)) for part in dataset(NAMES[::-1], "y").split(seed=1)]
    assert first != [set(names_of(part)) for part in dataset(NAMES).split(seed=2)]


def test_added_images_move_few_others():
    before = dict.fromkeys(NAMES)
    for number, part in enumerate(dataset(NAMES).split()):
        before.update(dict.fromkeys(names_of(part), number))
    moved = 0
    for number, part in enumerate(dataset([*NAMES, "k00.png", "k01.png"]).split()):
        moved += sum(before.get(name, number) != number for name in names_of(part))
    assert moved <= 4


def test_small_sets_have_at_least_one_image_per_part():
    assert [len(part) for part in dataset(NAMES[:3]).split()] == [1, 1, 1]
    assert [len(part) for part in dataset(NAMES[:10]).split()] == [8, 1, 1]
    assert [len(part) for part in dataset(NAMES[:2]).split(val=0.5, test=0)] == [1, 1, 0]


@pytest.mark.parametrize("group", ["patient", lambda image: image.name[0]])
def test_groups_stay_on_one_side(group):
    train, val, test = dataset(NAMES).split(val=0.15, test=0.2, group=group)
    sides = [{name[0] for name in names_of(part)} for part in (train, val, test)]
    assert [len(side) for side in sides] == [7, 1, 2]
    assert len(set.union(*sides)) == 10


def test_large_group_does_not_enter_a_small_part():
    names = ["a0", "b0", "c0", *(f"z{index}" for index in range(20))]
    for seed in range(5):
        train, val, test = dataset(names).split(val=0.05, test=0.05, seed=seed, group="patient")
        assert (len(train), len(val), len(test)) == (21, 1, 1)


def test_partition_by_a_column():
    parts = dataset(NAMES[:25]).partition("patient")
    assert {key: len(part) for key, part in parts.items()} == {"a": 10, "b": 10, "c": 5}


def test_impossible_splits_raise():
    with pytest.raises(ValueError, match=r"val must be a share in \[0, 1\), got 1"):
        dataset(NAMES).split(val=1)
    for names in ([], NAMES[:2]):
        with pytest.raises(ValueError, match="leave nothing for training"):
            dataset(names).split()
    with pytest.raises(ValueError, match=r"a00.png has no 'site' in its metadata, which has pat"):
        dataset(NAMES).partition("site")
    with pytest.raises(ValueError, match="must be hashable"):
        dataset(NAMES).partition(lambda image: [image.name])


def test_masks_are_read_on_demand(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    mask = np.eye(3, 4, dtype=bool)
    image = LabeledImage("a.png", tmp_path / "a.png", lambda: [LabeledMask("cat", lambda: mask)])
    assert image.size() == (3, 4)
    assert image.image().shape == (3, 4, 3)
    np.testing.assert_array_equal(image.masks(), mask[None])
    assert LabeledImage("a.png", tmp_path / "a.png", list).masks().shape == (0, 3, 4)


def test_bad_mask_raises_with_the_name_of_its_image(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")

    def fail():
        raise ValueError("no polygon")

    for decode, message in (
        (fail, "mask 0 of a.png: no polygon"),
        (lambda: np.ones((4, 3), bool), r"mask 0 of a.png must have the image's size \(3, 4\)"),
    ):
        image = LabeledImage("a.png", tmp_path / "a.png", lambda d=decode: [LabeledMask("x", d)])
        with pytest.raises(ValueError, match=message):
            image.masks()
