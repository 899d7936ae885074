"""The validation split depends on the file names only."""

import pytest

from keras_sam.annotations.coco import CocoDataset, CocoImage
from keras_sam.annotations.split_validation import split_validation

NAMES = [f"{index}.png" for index in range(20)]


def dataset(names: list[str]) -> CocoDataset:
    return CocoDataset(tuple(CocoImage(i, name, (4, 4)) for i, name in enumerate(names)))


def names_of(part: CocoDataset) -> list[str]:
    return [image.file_name for image in part.images]


def test_parts_are_disjoint_and_keep_the_order():
    training, validation = split_validation(dataset(NAMES), 6)
    assert len(validation.images) == 6
    assert sorted(names_of(training) + names_of(validation)) == sorted(NAMES)
    for part in (training, validation):
        assert names_of(part) == [name for name in NAMES if name in names_of(part)]


def test_split_does_not_depend_on_the_order_of_the_file():
    _, validation = split_validation(dataset(NAMES), 6)
    _, reversed_validation = split_validation(dataset(NAMES[::-1]), 6)
    assert set(names_of(validation)) == set(names_of(reversed_validation))
    assert set(names_of(validation)) != set(NAMES[:6])


def test_larger_count_only_adds_images():
    fewer, more = (set(names_of(split_validation(dataset(NAMES), count)[1])) for count in (3, 9))
    assert fewer < more


def test_count_of_zero_keeps_all_for_training():
    training, validation = split_validation(dataset(NAMES), 0)
    assert (names_of(training), validation.images) == (NAMES, ())


@pytest.mark.parametrize("count", [-1, 2, 3])
def test_wrong_count_raises(count):
    with pytest.raises(ValueError, match=f"less than the 2 images, got {count}"):
        split_validation(dataset(["a.png", "b.png"]), count)
