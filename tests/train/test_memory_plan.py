"""Memory of training steps: estimates against PyTorch's saved tensors, and plans."""

import keras
import numpy as np
import pytest

from keras_sam.losses.interactive_segmentation_loss import InteractiveSegmentationLoss
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.train.memory_plan import MemoryPlan, estimate_memory, parse_memory, plan_memory
from tests.saved_activations import bytes_saved_by_torch
from tests.tiny_model import tiny_model

GB = 10**9
counts_saved_tensors = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="counts tensors saved by PyTorch"
)


@pytest.fixture(scope="module")
def preset() -> SAMImageSegmenter:
    """The built-in preset with random weights."""
    return SAMImageSegmenter.from_preset(
        "sam_tiny_synthetic", load_weights=False, preprocessor=None
    )


def with_budget(segmenter, part, budget, **settings) -> tuple[int, int, bool]:
    plan = plan_memory(segmenter, part, budget, **settings)
    assert plan.estimated_bytes <= plan.budget_bytes == budget
    return plan.batch_size, plan.masks_per_image, plan.remat


@counts_saved_tensors
def test_encoder_activations_are_those_that_torch_saves(preset):
    encoder = preset.backbone.image_encoder
    images = keras.ops.zeros((1, *encoder.image_shape))
    saved = bytes_saved_by_torch(lambda: encoder(images, training=True))
    saved -= 4 * encoder.count_params()  # the kernels are saved too
    estimate = estimate_memory(preset, "all", batch_size=1, masks_per_image=1)
    assert estimate.encoder == pytest.approx(saved, rel=0.1)


@counts_saved_tensors
@pytest.mark.parametrize("correction_rounds", [0, 2])
def test_decoder_activations_are_those_that_torch_saves(preset, correction_rounds):
    shape = preset.backbone.embedding_shapes["image_embeddings"]
    embedding = {"image_embeddings": keras.ops.zeros((1, *shape))}
    loss = InteractiveSegmentationLoss(correction_rounds=correction_rounds, seed=0)

    def saved_bytes(masks: int) -> int:
        y = {"masks": np.ones((1, masks, 128, 128), "uint8")}
        return bytes_saved_by_torch(lambda: loss.compute(preset, {}, y, embedding))

    estimate = estimate_memory(
        preset, "decoder", batch_size=1, masks_per_image=4, correction_rounds=correction_rounds
    )
    assert estimate.decoder == pytest.approx(saved_bytes(8) - saved_bytes(4), rel=0.1)


def test_weights_have_gradients_and_moments_if_they_are_trained(preset):
    total, encoder = preset.count_params(), preset.backbone.image_encoder
    decoder = total - encoder.count_params()
    adapters = len(encoder.blocks) * 2 * (192 + 3 * 192)
    trained = {"decoder": decoder, "lora": decoder + adapters, "all": total}
    for part, count in trained.items():
        estimate = estimate_memory(preset, part, batch_size=1, masks_per_image=1, lora_rank=2)
        added = adapters if part == "lora" else 0
        assert estimate.weights == 4 * (total + added + 2 * count)
        assert estimate.update == 4 * 5 * count
    assert estimate_memory(preset, "decoder", batch_size=1, masks_per_image=1).encoder == 0


def test_remat_needs_one_round_and_one_block(preset):
    def estimate(**settings):
        return estimate_memory(preset, "all", **{"batch_size": 2, "masks_per_image": 4, **settings})

    plain, rematerialized = estimate(), estimate(remat=True)
    assert rematerialized.encoder < 0.3 * plain.encoder
    assert rematerialized.decoder < 0.5 * plain.decoder
    assert (rematerialized.weights, rematerialized.update) == (plain.weights, plain.update)
    # Without correction, there is one round anyway.
    one, one_remat = (estimate(correction_rounds=0, remat=remat) for remat in (False, True))
    assert one_remat.decoder == pytest.approx(one.decoder, rel=0.05)


def test_half_precision_halves_activations_but_not_losses():
    full, half = (
        SAMImageSegmenter.from_preset("sam_tiny_synthetic", load_weights=False, dtype=dtype)
        for dtype in ("float32", "mixed_bfloat16")
    )
    in_full, in_half = (
        estimate_memory(model, "all", batch_size=1, masks_per_image=1) for model in (full, half)
    )
    assert in_half.weights == in_full.weights
    assert in_half.encoder == in_full.encoder / 2
    assert in_full.decoder / 2 < in_half.decoder < 0.7 * in_full.decoder


def test_smaller_budgets_give_smaller_steps(preset):
    def total(images: int, masks: int, remat: bool) -> int:
        return estimate_memory(
            preset, "all", batch_size=images, masks_per_image=masks, remat=remat
        ).total_bytes

    steps = [(4, 16, False), (4, 16, True), (2, 16, True), (1, 16, True), (1, 8, True)]
    for step in steps:
        found = with_budget(preset, "all", total(*step), batch_size=4, masks_per_image=16)
        assert found == step
        below = with_budget(preset, "all", total(*step) - 1, batch_size=4, masks_per_image=16)
        assert below != step


def test_a_budget_that_is_too_small_raises_with_the_need():
    model = tiny_model()
    least = estimate_memory(model, "all", batch_size=1, masks_per_image=1, remat=True)
    assert with_budget(model, "all", least.total_bytes, masks_per_image=1)[:2] == (1, 1)
    with pytest.raises(ValueError, match=r"'all' needs at least 70\d MB.*; the budget is 500 MB"):
        plan_memory(model, "all", GB // 2)


def test_plan_in_one_line():
    plan = MemoryPlan(2, 16, True, estimated_bytes=3 * GB, budget_bytes=8 * GB)
    assert str(plan) == (
        "memory plan: 2 x 16 masks per step, with rematerialization, about 3.0 GB of 8.0 GB"
    )


def test_other_image_encoders_have_plans_of_the_decoder_alone(preset, monkeypatch):
    monkeypatch.setattr("keras_sam.train.memory_plan.ViTDetBackbone", type(None))
    estimate_memory(preset, "decoder", batch_size=1, masks_per_image=1)
    with pytest.raises(ValueError, match="known for a ViTDetBackbone, got a ViTDetBackbone"):
        estimate_memory(preset, "lora", batch_size=1, masks_per_image=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8GB", 8 * GB), ("500 MB", 5 * 10**8), ("7.5GiB", 15 * 2**29), (" 900000kb ", 9 * 10**8)],
)
def test_parse_memory(text, expected):
    assert parse_memory(text) == expected


@pytest.mark.parametrize("text", ["8", "GB", "8TB", "-1GB", "1e3MB", "8GB of", ""])
def test_a_malformed_amount_raises(text):
    with pytest.raises(ValueError, match="memory must be a number and one of KB, MB, GB"):
        parse_memory(text)


def test_no_memory_raises():
    with pytest.raises(ValueError, match="memory must be more than 0, got '0GB'"):
        parse_memory("0GB")
