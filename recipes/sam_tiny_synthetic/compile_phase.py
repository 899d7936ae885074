"""`compile_phase`: the trained layers, optimizer and loss of a training phase."""

import keras

from keras_sam.losses.interactive_segmentation_loss import InteractiveSegmentationLoss
from keras_sam.losses.segmentation_loss import SegmentationLoss
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.set_trainable import set_trainable
from keras_sam.train.warmup_cosine import WarmupCosine
from recipes.sam_tiny_synthetic.affinity_loss import AffinityLoss
from recipes.sam_tiny_synthetic.training_config import Phase


def compile_phase(segmenter: SAMImageSegmenter, phase: Phase, *, seed: int) -> None:
    """Prepare a segmenter for the steps of a phase.

    Args:
        segmenter: Segmenter to freeze in part and to compile.
        phase: The phase.
        seed: Seed of the simulated prompts.
    """
    _freeze_unused_layers(segmenter, phase)
    segmenter.compile(_build_optimizer(phase), loss=_build_loss(phase, seed=seed))
    segmenter.optimizer.build(segmenter.trainable_variables)


def _freeze_unused_layers(segmenter: SAMImageSegmenter, phase: Phase) -> None:
    """Freeze the layers that get no gradient in a phase; Keras would warn about them."""
    is_interactive = phase.loss == "interactive"
    prompt_encoder = segmenter.backbone.prompt_encoder
    set_trainable(prompt_encoder, is_interactive)
    uses_masks = is_interactive and phase.correction_rounds > 0
    set_trainable(prompt_encoder.mask_downscaler, uses_masks)
    set_trainable(segmenter.backbone.mask_decoder, is_interactive)


def _build_optimizer(phase: Phase) -> keras.optimizers.Optimizer:
    """Build the optimizer of a phase.

    It is Muon for the matrices of transformer blocks and AdamW for all other weights, with one
    learning rate (arXiv 2502.16982).
    """
    return keras.optimizers.Muon(
        WarmupCosine(phase.learning_rate, phase.steps),
        exclude_layers=["rel_pos", "tokens?$", "hypernetworks", "iou_head"],
        weight_decay=0.05,
        adam_weight_decay=0.05,
        adam_beta_2=0.98,
        global_clipnorm=1.0,
        use_ema=phase.ema_decay > 0,
        ema_momentum=phase.ema_decay,
    )


def _build_loss(phase: Phase, *, seed: int) -> SegmentationLoss:
    if phase.loss == "affinity":
        return AffinityLoss()
    return InteractiveSegmentationLoss(
        correction_rounds=phase.correction_rounds,
        correction_share=phase.correction_share,
        top_iou_weight=phase.top_iou_weight,
        center_click_probability=phase.center_click_probability,
        box_probability=phase.box_probability,
        box_noise=phase.box_noise,
        focal_gamma=0.0,  # from random weights, the focal loss collapses to empty masks
        focal_alpha=None,
        focal_weight=1.0,
        iou_weight=5.0,  # with 1, the predicted IoU hardly separates good masks from bad ones
        seed=seed,
    )
