"""Raw samples in `fit`, `evaluate` and `predict` of a segmenter with a preprocessor."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.losses.segmentation_loss import LossResult, SegmentationLoss
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.set_trainable import set_trainable
from keras_sam.transforms.image_transform import ImageTransform
from tests.models.data_sets import DATA_SETS, Batches, generator

BACKEND = keras.backend.backend()
SIZES = [(20, 50), (64, 40), (33, 31), (16, 24), (20, 50)]
# Keras warns when an iterable without a length ends.
unknown_length = pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


IMAGES = [random_image(*size, seed) for seed, size in enumerate(SIZES)]
BATCH = np.stack([random_image(20, 30, seed) for seed in range(6)])
MASKS = np.random.default_rng(1).random((6, 2, 20, 30)) > np.arange(1, 7).reshape(6, 1, 1, 1) / 7
BOXES = np.random.default_rng(2).uniform(0, 20, (6, 1, 2, 2)).astype("float32")


def predict_by_metas_steps(segmenter, images, **prompts) -> list[dict[str, np.ndarray]]:
    """Prepare each image and its prompts, predict, and postprocess each image's masks."""
    transforms = [ImageTransform(image.shape[:2], (32, 48)) for image in images]
    pairs = list(zip(transforms, images, strict=True))
    inputs = {"images": np.stack([transform.apply_image(image) for transform, image in pairs])}
    for name in ("boxes", "points"):
        if name in prompts:
            pairs = zip(transforms, prompts[name], strict=True)
            inputs[name] = np.stack([transform.apply_points(value) for transform, value in pairs])
    if "points" in prompts:
        points, labels = inputs["points"], np.asarray(prompts["labels"])
        token = np.zeros((*points.shape[:-2], 1, 2), "float32")
        inputs["points"] = np.concatenate([points, token], axis=-2)
        inputs["labels"] = np.concatenate([labels, np.full(token.shape[:-1], -1)], axis=-1)
    outputs = segmenter.predict(inputs, verbose=0)
    return [
        {"masks": transform.postprocess_masks(logits), "iou_pred": iou, "low_res_logits": logits}
        for transform, logits, iou in zip(
            transforms, outputs["masks"], outputs["iou_pred"], strict=True
        )
    ]


def assert_same(found, expected) -> None:
    """Compare outputs of one image. Rounding may move a pixel of a mask's boundary."""
    assert set(found) == set(expected)
    for name in ("iou_pred", "low_res_logits"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-4)
    assert found["masks"].dtype == bool
    assert found["masks"].shape == expected["masks"].shape
    assert (found["masks"] != expected["masks"]).mean() < 1e-3


PROMPTS = {
    "boxes": {"boxes": [[[[2, 3], [20, 15]]]] * 5},
    "several points": {"points": [[[[9, 8]], [[14, 11]]]] * 5, "labels": [[[1], [0]]] * 5},
}


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
def test_raw_images_of_any_size_give_the_masks_of_metas_steps(
    raw_segmenter, prepared_segmenter, prompts
):
    found = raw_segmenter.predict({"images": IMAGES, **prompts}, batch_size=2, verbose=0)
    assert [mask.shape[-2:] for mask in found["masks"]] == SIZES
    for index, expected in enumerate(predict_by_metas_steps(prepared_segmenter, IMAGES, **prompts)):
        assert_same({name: value[index] for name, value in found.items()}, expected)


@pytest.mark.parametrize("prompts", [None, *PROMPTS.values()], ids=["image alone", *PROMPTS])
def test_one_image_gives_results_without_a_batch_axis(raw_segmenter, prompts):
    prompts = prompts or {}
    batch = {name: value[:1] for name, value in prompts.items()}
    expected = raw_segmenter.predict({"images": IMAGES[:1]} | batch, verbose=0)
    single = {name: value[0] for name, value in prompts.items()}
    x = {"images": IMAGES[0], "masks": None} | single if prompts else IMAGES[0]
    found = raw_segmenter.predict(x, verbose=0)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value[0])


def test_images_of_one_size_give_one_array_of_masks(raw_segmenter):
    found = raw_segmenter.predict(BATCH, verbose=0)
    assert found["masks"].shape == (6, 4, 20, 30)
    assert found["low_res_logits"].shape == (6, 4, 16, 24)


def test_prompts_of_other_shapes_may_follow_each_other(raw_segmenter):
    first = raw_segmenter.predict({"images": BATCH[:2], "boxes": BOXES[:2]}, verbose=0)
    several = {"images": BATCH[:2], "boxes": np.repeat(BOXES[:2], 3, axis=1)}
    repeated = raw_segmenter.predict(several, verbose=0)["low_res_logits"]
    for index in range(3):
        np.testing.assert_allclose(
            repeated[:, index], first["low_res_logits"], rtol=1e-3, atol=1e-4
        )
    again = raw_segmenter.predict({"images": BATCH[:2], "boxes": BOXES[:2]}, verbose=0)
    np.testing.assert_array_equal(again["low_res_logits"], first["low_res_logits"])


def test_low_res_logits_are_a_mask_prompt_of_the_next_call(raw_segmenter):
    x = {"images": BATCH[:2], "boxes": BOXES[:2]}
    first = raw_segmenter.predict(x, verbose=0)
    masks = first["low_res_logits"][:, :1, :, :, None]
    second = raw_segmenter.predict(x | {"masks": masks}, verbose=0)
    assert second["masks"].shape == first["masks"].shape
    assert np.abs(second["low_res_logits"] - first["low_res_logits"]).max() > 1e-4


@unknown_length
@pytest.mark.parametrize("make", DATA_SETS)
def test_predict_takes_data_sets_of_batches(raw_segmenter, make):
    x = {"images": BATCH, "boxes": BOXES}
    expected = raw_segmenter.predict(x, batch_size=2, verbose=0)
    found = raw_segmenter.predict(make(x), verbose=0)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_sizes_belong_to_their_images_with_several_workers(raw_segmenter):
    class Sizes(keras.utils.PyDataset):
        def __len__(self) -> int:
            return len(IMAGES)

        def __getitem__(self, index: int):
            return ({"images": IMAGES[index : index + 1]},)

    found = raw_segmenter.predict(Sizes(workers=3), verbose=0)
    assert [mask.shape[-2:] for mask in found["masks"]] == SIZES


def test_predict_stops_after_the_given_steps(raw_segmenter):
    found = raw_segmenter.predict(IMAGES, batch_size=2, steps=2, verbose=0)
    assert [mask.shape[-2:] for mask in found["masks"]] == SIZES[:4]


class ContentLoss(SegmentationLoss):
    """The mean of the prepared images and masks, and a tenth of that of the embedding.

    The first two are those that the preprocessor makes, so a loss identifies its samples.
    """

    def __init__(self, *, embedding_weight: float = 0.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.embedding_weight = embedding_weight
        self.built = True

    def compute(self, segmenter, x, y, y_pred, *, training=True):
        embedding = self._image_embedding(segmenter, x, y_pred, training=training)
        content = ops.mean(x["images"]) + ops.mean(ops.cast(y["masks"], "float32"))
        return LossResult(content + self.embedding_weight * ops.mean(embedding["image_embeddings"]))


def build_trainable(make_backbone, **loss) -> SAMImageSegmenter:
    """A segmenter that trains its image encoder alone."""
    segmenter = SAMImageSegmenter.from_backbone(make_backbone())
    set_trainable(segmenter.backbone.prompt_encoder, False)
    set_trainable(segmenter.backbone.mask_decoder, False)
    # XLA compiles slowly, but JAX needs it.
    jit_compile = False if BACKEND == "tensorflow" else "auto"
    segmenter.compile(keras.optimizers.SGD(0.1), ContentLoss(**loss), jit_compile=jit_compile)
    return segmenter


@pytest.fixture(scope="module")
def content_segmenter(make_backbone) -> SAMImageSegmenter:
    """A segmenter whose weights do not change in training, since the gradient is zero."""
    return build_trainable(make_backbone)


def content_of(rows) -> list[float]:
    """The loss of each sample alone, from the transform of its image."""
    transform = ImageTransform((20, 30), (32, 48))
    return [
        float(transform.apply_image(BATCH[row]).mean() + transform.apply_masks(MASKS[row]).mean())
        for row in rows
    ]


@unknown_length
@pytest.mark.training
@pytest.mark.parametrize("make", DATA_SETS)
def test_fit_and_evaluate_take_data_sets_of_batches(content_segmenter, make):
    parts = {"images": BATCH}, {"masks": MASKS}
    expected = np.mean(content_of(range(6)))
    found = content_segmenter.evaluate(make(*parts), verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    history = content_segmenter.fit(make(*parts), verbose=0).history
    assert history["loss"] == [pytest.approx(expected, rel=1e-5)]


@pytest.mark.training
@pytest.mark.parametrize(
    ("x", "y"),
    [(BATCH, MASKS), (list(BATCH), list(MASKS)), ({"images": BATCH}, {"masks": list(MASKS)})],
)
def test_fit_and_evaluate_take_arrays_lists_and_dictionaries(content_segmenter, x, y):
    expected = np.mean(content_of(range(6)))
    found = content_segmenter.evaluate(x, y, batch_size=2, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    history = content_segmenter.fit(x, y, 2, 2, verbose=0).history
    assert history["loss"] == [pytest.approx(expected, rel=1e-5)] * 2


@pytest.mark.training
def test_validation_data_are_evaluated_after_each_epoch(content_segmenter):
    for validation_data in ((BATCH[4:], MASKS[4:]), Batches(BATCH, MASKS)):
        rows = range(4, 6) if isinstance(validation_data, tuple) else range(6)
        history = content_segmenter.fit(
            BATCH[:4], MASKS[:4], 2, validation_data=validation_data, epochs=3, verbose=0
        ).history
        for name, expected in (("loss", range(4)), ("val_loss", rows)):
            values = [pytest.approx(np.mean(content_of(expected)), rel=1e-5)] * 3
            assert history[name] == values


@unknown_length
@pytest.mark.training
def test_a_generator_of_validation_data_lasts_one_epoch(content_segmenter):
    with pytest.raises(Exception, match="gives its batches once"):
        content_segmenter.fit(
            BATCH[:2],
            MASKS[:2],
            validation_data=generator(BATCH, MASKS),
            epochs=2,
            verbose=0,
        )


@pytest.mark.training
def test_validation_split_takes_the_last_samples(content_segmenter):
    x, y = {"images": list(BATCH)}, {"masks": MASKS}
    history = content_segmenter.fit(x, y, 2, validation_split=1 / 3, verbose=0).history
    assert history["loss"] == [pytest.approx(np.mean(content_of(range(4))), rel=1e-5)]
    assert history["val_loss"] == [pytest.approx(np.mean(content_of(range(4, 6))), rel=1e-5)]


@pytest.mark.training
@pytest.mark.parametrize(
    ("split", "message"), [(1.5, r"must be in \(0, 1\)"), (0.9, "leaves no part")]
)
def test_validation_splits_without_samples_are_refused(content_segmenter, split, message):
    with pytest.raises(ValueError, match=message):
        content_segmenter.fit(BATCH, MASKS, validation_split=split)


@pytest.mark.training
def test_fit_shuffles_unless_told_otherwise(content_segmenter):
    def losses(seed: int, **kwargs) -> list[float]:
        np.random.seed(seed)
        means: list[float] = []
        record = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: means.append(float(logs["loss"]))
        )
        content_segmenter.fit(BATCH, MASKS, 1, callbacks=[record], verbose=0, **kwargs)
        counts = np.arange(1, 7)
        return np.diff(means * counts, prepend=0).tolist()  # Keras logs running means

    content = content_of(range(6))
    assert losses(0, shuffle=False) == pytest.approx(content, abs=1e-4)
    shuffled = losses(0)
    assert sorted(shuffled) == pytest.approx(sorted(content), abs=1e-4)
    assert shuffled != pytest.approx(content, abs=1e-4)
    assert losses(0) == pytest.approx(shuffled, abs=1e-4)
    assert losses(1) != pytest.approx(shuffled, abs=1e-4)


@pytest.mark.training
def test_single_batches_may_be_raw(content_segmenter):
    expected = pytest.approx(np.mean(content_of(range(2))), rel=1e-5)
    for method in (content_segmenter.train_on_batch, content_segmenter.test_on_batch):
        found = method({"images": BATCH[:2]}, {"masks": MASKS[:2]}, return_dict=True)
        assert float(found["loss"]) == expected


def test_predict_on_batch_equals_predict(raw_segmenter):
    x = {"images": BATCH, "boxes": BOXES}
    expected, found = raw_segmenter.predict(x, verbose=0), raw_segmenter.predict_on_batch(x)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.training
def test_sample_weights_are_refused(content_segmenter):
    weight = np.ones(6, "float32")
    for method in (content_segmenter.fit, content_segmenter.evaluate):
        with pytest.raises(ValueError, match="sample_weight is not supported"):
            method(BATCH, MASKS, sample_weight=weight, verbose=0)
    with pytest.raises(ValueError, match="sample_weight is not supported"):
        content_segmenter.train_on_batch(BATCH, MASKS, weight)


@pytest.mark.training
def test_an_invalid_sample_leaves_a_usable_model_with_the_weights_so_far(make_backbone):
    segmenter = build_trainable(make_backbone, embedding_weight=0.1)
    images = [*BATCH[:4], BATCH[4] / 255.0]  # the last one is not raw
    masks = list(MASKS[:5])
    before = segmenter.predict(BATCH[:1], verbose=0)["low_res_logits"]
    for run in (
        lambda: segmenter.evaluate(images, masks, 2, verbose=0),
        lambda: segmenter.predict(images, 2, verbose=0),
        lambda: segmenter.predict(images[-1:], verbose=0),
    ):
        with pytest.raises(Exception, match="Multiply by 255"):
            run()
        found = segmenter.predict(BATCH[:1], verbose=0)["low_res_logits"]
        np.testing.assert_array_equal(found, before)
    with pytest.raises(Exception, match="Multiply by 255"):
        segmenter.fit(images, masks, 2, shuffle=False, verbose=0)
    trained = segmenter.predict(BATCH[:1], verbose=0)["low_res_logits"]
    assert np.isfinite(trained).all()
    assert np.abs(trained - before).max() > 1e-4
    segmenter.fit(images[:4], masks[:4], 2, verbose=0)


class EpochRecorder(keras.utils.PyDataset):
    """One batch per epoch, read by workers that start before Keras' own event."""

    def __init__(self):
        super().__init__(workers=2)
        self.epoch, self.read = None, []

    def __len__(self):
        return 1

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __getitem__(self, index):
        self.read.append(self.epoch)
        return BATCH[:2], MASKS[:2]


@pytest.mark.training
@pytest.mark.parametrize("how", ["keyword", "positional", "list"])
def test_data_sets_get_the_number_of_each_epoch(content_segmenter, how):
    data, logs = EpochRecorder(), []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: logs.append(epoch))
    if how == "positional":
        content_segmenter.fit(data, None, None, 3, 0, callback)
    elif how == "keyword":
        content_segmenter.fit(data, epochs=3, verbose=0, callbacks=[callback])
    else:
        callbacks = keras.callbacks.CallbackList(
            [callback], add_history=True, model=content_segmenter
        )
        content_segmenter.fit(data, epochs=3, verbose=0, callbacks=callbacks)
    assert [epoch for epoch in data.read if epoch is not None][-3:] == [0, 1, 2]
    assert logs == [0, 1, 2]
