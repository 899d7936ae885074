"""What a phase trains."""

import pytest

from recipes.sam_tiny_synthetic.compile_phase import compile_phase
from recipes.sam_tiny_synthetic.training_config import Phase
from tests.tiny_model import tiny_model


def trained_layers(phase: Phase) -> set[str]:
    """Names of the parts of the model with trainable weights."""
    segmenter = tiny_model()
    compile_phase(segmenter, phase, seed=0)
    backbone = segmenter.backbone
    parts = {
        "image encoder": backbone.image_encoder,
        "prompt encoder": backbone.prompt_encoder,
        "mask prompts": backbone.prompt_encoder.mask_downscaler,
        "mask decoder": backbone.mask_decoder,
    }
    return {name for name, layer in parts.items() if layer.trainable_weights}


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (Phase(64, 1, loss="affinity"), {"image encoder"}),
        (Phase(64, 1), {"image encoder", "prompt encoder", "mask decoder"}),
        (
            Phase(64, 1, correction_rounds=1),
            {"image encoder", "prompt encoder", "mask prompts", "mask decoder"},
        ),
    ],
)
def test_layers_without_gradients_are_frozen(phase, expected):
    assert trained_layers(phase) == expected


def test_muon_trains_the_matrices_of_transformer_blocks():
    segmenter = tiny_model()
    compile_phase(segmenter, Phase(64, 1, correction_rounds=1), seed=0)
    variables = segmenter.trainable_variables
    velocities = segmenter.optimizer.adam_velocities
    by_muon = {
        variable.path
        for variable, velocity in zip(variables, velocities, strict=True)
        if velocity is None
    }
    matrices = {
        variable.path
        for variable in variables
        if variable.path.endswith("kernel")
        and ("attention" in variable.path or "mlp" in variable.path)
    }
    assert by_muon == matrices
