import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory):
    """A directory with a tiny model of random weights."""
    from keras_sam.layers import SAMMaskDecoder, SAMPromptEncoder
    from keras_sam.models import SAMBackbone, SAMImageSegmenter, ViTDetBackbone

    backbone = SAMBackbone(
        ViTDetBackbone(
            hidden_size=8,
            num_layers=2,
            intermediate_dim=16,
            num_heads=2,
            global_attention_layer_indices=[1],
            image_shape=(64, 64, 3),
            patch_size=16,
            num_output_channels=8,
            window_size=2,
        ),
        SAMPromptEncoder(
            hidden_size=8,
            image_embedding_size=(4, 4),
            input_image_size=(64, 64),
            mask_in_channels=4,
        ),
        SAMMaskDecoder(
            hidden_size=8,
            num_layers=1,
            intermediate_dim=16,
            num_heads=2,
            embedding_dim=8,
            iou_head_hidden_dim=8,
        ),
    )
    directory = tmp_path_factory.mktemp("presets") / "tiny"
    SAMImageSegmenter(backbone).save_to_preset(directory)
    return directory


@pytest.fixture
def photograph(tmp_path):
    """A bright disc on a dark ground, 60 pixels wide and 40 high."""
    y, x = np.mgrid[:40, :60]
    pixels = np.where(((x - 30) ** 2 + (y - 20) ** 2 < 100)[..., None], 220, 30)
    path = tmp_path / "disc.png"
    Image.fromarray(np.broadcast_to(pixels, (40, 60, 3)).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def run():
    """Runs the command line in this process; the result has exit_code, stdout and stderr."""
    from keras_sam.cli import app

    def invoke(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return invoke
