"""Batches for `fit`: equal for any workers, and of one shape."""

import keras
import numpy as np
import pytest
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter
from PIL import Image

from keras_sam.annotations import AnnotatedImage, mask_to_record, open_dataset, write_coco
from keras_sam.models import SAMImageSegmenter
from keras_sam.train import Augmentation, MaskBatches

NUM_IMAGES, MAX_MASKS = 5, 9


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Image i has the value 10 i and 2 i + 1 masks. Mask p is the column p."""
    folder = tmp_path_factory.mktemp("set")
    images = []
    for index in range(NUM_IMAGES):
        size = (20 + index, 30)
        Image.new("RGB", size[::-1], (10 * index,) * 3).save(folder / f"{index}.png")
        masks = np.zeros((2 * index + 1, *size), bool)
        for number, mask in enumerate(masks):
            mask[:, number] = True
        images.append(AnnotatedImage(f"{index}.png", size, [mask_to_record(m) for m in masks]))
    write_coco(images, folder / "coco.json")
    return open_dataset(folder)


def numbers_of(images):
    return [int(image[0, 0, 0]) // 10 for image in images]


def columns_of(masks):
    return [int(mask.any(axis=0).argmax()) for mask in masks if mask.any()]


def epochs_of(batches, count=2):
    """Contents of all batches as Keras reads them in `fit`."""
    adapter = PyDatasetAdapter(batches)
    contents = []
    for epoch in range(count):
        batches.set_epoch(epoch)
        adapter.on_epoch_begin()
        contents.append(
            [
                [array.tobytes() for part in batch for array in part]
                for batch in adapter._get_iterator()
            ]
        )
        adapter.on_epoch_end()
    return contents


def test_each_epoch_has_every_image_in_another_order(dataset):
    batches = MaskBatches(dataset, batch_size=1, masks_per_image=3)
    orders = []
    for epoch in range(6):
        batches.set_epoch(epoch)
        orders.append([numbers_of(batches[index][0])[0] for index in range(len(batches))])
    assert all(sorted(order) == list(range(NUM_IMAGES)) for order in orders)
    assert len({tuple(order) for order in orders}) > 3


def test_masks_have_a_fixed_number(dataset):
    batches = MaskBatches(dataset, batch_size=NUM_IMAGES, masks_per_image=4, seed=3)
    images, masks = batches[0]
    chosen = []
    for number, image, of_image in zip(numbers_of(images), images, masks, strict=True):
        assert image.shape[:2] == of_image.shape[1:]
        assert of_image.shape[0] == 4
        assert of_image.dtype == bool
        columns = columns_of(of_image)
        assert len(set(columns)) == len(columns) == min(4, 2 * number + 1)
        assert all(column < 2 * number + 1 for column in columns)
        chosen.append(columns)
    batches.set_epoch(1)
    assert sorted(chosen) != sorted(columns_of(of_image) for of_image in batches[0][1])


@pytest.mark.parametrize("augment", [None, lambda image, masks: (image, masks)])
def test_all_masks_are_used_equally(dataset, augment):
    batches = MaskBatches(dataset, batch_size=NUM_IMAGES, masks_per_image=4, augment=augment)
    counts = np.zeros(MAX_MASKS, int)
    for epoch in range(90):
        batches.set_epoch(epoch)
        images, masks = batches[0]
        np.add.at(counts, columns_of(masks[numbers_of(images).index(4)]), 1)
    assert counts.sum() == 4 * 90
    assert counts.min() > 20


def test_last_batch_is_filled_when_shuffled(dataset):
    sizes = [
        [len(batch[0]) for batch in map(batches.__getitem__, range(len(batches)))]
        for batches in (
            MaskBatches(dataset, batch_size=2, masks_per_image=1),
            MaskBatches(dataset, batch_size=2, masks_per_image=1, shuffle=False),
            MaskBatches(dataset, batch_size=12, masks_per_image=1),
        )
    ]
    assert sizes == [[2, 2, 2], [2, 2, 1], [12]]


def test_epochs_without_shuffle_are_the_same(dataset):
    batches = MaskBatches(
        dataset, batch_size=2, masks_per_image=2, augment=Augmentation(), shuffle=False
    )
    first, second = epochs_of(batches)
    assert first == second
    plain = MaskBatches(dataset, batch_size=NUM_IMAGES, masks_per_image=2, shuffle=False)
    assert numbers_of(plain[0][0]) == list(range(NUM_IMAGES))


@pytest.mark.filterwarnings("ignore:os.fork")  # by JAX. The workers do not use it
@pytest.mark.parametrize("use_multiprocessing", [False, True])
def test_workers_do_not_change_the_batches(dataset, use_multiprocessing):
    options = {"batch_size": 2, "masks_per_image": 3, "augment": Augmentation(), "seed": 5}
    expected = epochs_of(MaskBatches(dataset, **options))
    batches = MaskBatches(dataset, **options, workers=2, use_multiprocessing=use_multiprocessing)
    assert epochs_of(batches) == expected
    assert expected[0] != expected[1]
    assert epochs_of(MaskBatches(dataset, **{**options, "seed": 6})) != expected


def test_repeated_image_is_changed_differently(dataset):
    batches = MaskBatches(
        dataset, batch_size=2 * NUM_IMAGES, masks_per_image=1, augment=Augmentation()
    )
    images, _ = batches[0]
    assert len({image.tobytes() for image in images}) == 2 * NUM_IMAGES


def test_augment_with_and_without_rng(dataset):
    def with_rng(image, masks, rng):
        return np.full_like(image, rng.integers(255)), masks

    def without_rng(image, masks):
        return 255 - image, list(masks[:1])

    def without_masks(image, masks):
        return image, []

    for augment in (with_rng, without_rng, without_masks):
        batches = MaskBatches(dataset, batch_size=3, masks_per_image=2, augment=augment)
        images, masks = batches[0]
        assert all(
            of_image.shape == (2, *image.shape[:2])
            for image, of_image in zip(images, masks, strict=True)
        )
        if augment is with_rng:
            np.testing.assert_array_equal(images[0], batches[0][0][0])
        else:
            assert max(len(columns_of(m)) for m in masks) == int(augment is without_rng)


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (lambda image, masks: (image / 255, masks), r"image \(H, W, 3\) of uint8 for .*float64"),
        (lambda image, masks: (image[..., 0], masks), r"image \(H, W, 3\) of uint8 for \d.png"),
        (lambda image, masks: (image[:9], masks), r"masks \(P, 9, 30\) for \d.png, got \(\d, 2"),
    ],
)
def test_wrong_result_of_augment_raises(dataset, augment, message):
    with pytest.raises(ValueError, match=message):
        MaskBatches(dataset, masks_per_image=1, augment=augment, seed=1)[0]


def test_wrong_arguments_raise(dataset):
    for name in ("batch_size", "masks_per_image"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            MaskBatches(dataset, **{name: 0})
    with pytest.raises(ValueError, match="number of images must be at least 1"):
        MaskBatches(type(dataset)((), "coco", dataset.folder))
    with pytest.raises(IndexError, match="there are 5 batches, got index 5"):
        MaskBatches(dataset)[5]


def test_bad_file_raises_with_its_name(dataset, tmp_path):
    (tmp_path / "0.png").write_text("text")
    broken = open_dataset(dataset.folder / "coco.json", image_dir=tmp_path)
    with pytest.raises(ValueError, match=r"0.png is not a JPEG"):
        MaskBatches(broken, shuffle=False)[0]


def raw_segmenter(tiny_segmenter):
    segmenter = SAMImageSegmenter.from_backbone(tiny_segmenter(0).backbone)
    segmenter.compile("auto")
    return segmenter


@pytest.mark.training
@pytest.mark.parametrize("workers", [1, 2])
def test_fit_reads_each_epoch(dataset, tiny_segmenter, workers):
    read = []

    class Recorded(MaskBatches):
        def __getitem__(self, index):
            read.append((self.epoch, index))
            return super().__getitem__(index)

    segmenter = raw_segmenter(tiny_segmenter)
    options = {"batch_size": 3, "masks_per_image": 2}
    train = Recorded(dataset, **options, augment=Augmentation(), workers=workers)
    val = MaskBatches(dataset, **options, shuffle=False)
    history = segmenter.fit(
        train,
        validation_data=val,
        epochs=5,
        initial_epoch=3,
        verbose=0,
        callbacks=[keras.callbacks.TerminateOnNaN()],
    )
    assert {(3, 0), (3, 1), (4, 0), (4, 1)} <= set(read)
    assert np.isfinite(history.history["loss"] + history.history["val_loss"]).all()
    assert len(history.history["loss"]) == 2


@pytest.mark.training
def test_images_without_masks_have_a_finite_loss(dataset, tiny_segmenter):
    segmenter = raw_segmenter(tiny_segmenter)
    batches = MaskBatches(
        dataset, batch_size=2, masks_per_image=2, augment=lambda image, masks: (image, [])
    )
    loss = segmenter.fit(batches, verbose=0).history["loss"]
    assert np.isfinite(loss).all()
