"""Which images are held out depends on their names alone."""

import pytest

from keras_sam.annotations.coco import CocoDataset, CocoImage
from keras_sam.annotations.split_validation import split_validation


def dataset(names: list[str]) -> CocoDataset:
    return CocoDataset(tuple(CocoImage(i, name, (4, 4)) for i, name in enumerate(names)))


def names_of(part: CocoDataset) -> list[str]:
    return [image.file_name for image in part.images]


NAMES = [f"{number}.png" for number in range(20)]


def test_the_parts_make_the_whole_and_keep_its_order():
    rest, held = split_validation(dataset(NAMES), 6)
    assert len(held.images) == 6
    assert sorted(names_of(rest) + names_of(held)) == sorted(NAMES)
    assert names_of(rest) == [name for name in NAMES if name in names_of(rest)]


def test_the_order_of_the_file_does_not_matter():
    _, held = split_validation(dataset(NAMES), 6)
    _, again = split_validation(dataset(NAMES[::-1]), 6)
    assert set(names_of(held)) == set(names_of(again))
    assert set(names_of(held)) != set(NAMES[:6])


def test_more_images_hold_out_the_same_ones_too():
    fewer, more = (set(names_of(split_validation(dataset(NAMES), count)[1])) for count in (3, 9))
    assert fewer < more


def test_something_must_be_left():
    with pytest.raises(ValueError, match="fewer than the 2 images, got 2"):
        split_validation(dataset(["a.png", "b.png"]), 2)
