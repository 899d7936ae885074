import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory):
    """Directory of a tiny model with random weights."""
    from tests.tiny_model import tiny_model

    directory = tmp_path_factory.mktemp("presets") / "tiny"
    tiny_model().save_to_preset(directory)
    return directory


@pytest.fixture
def disc_image(tmp_path):
    """Image of a bright disc on a dark background, 60 pixels wide and 40 high."""
    y, x = np.mgrid[:40, :60]
    pixels = np.where(((x - 30) ** 2 + (y - 20) ** 2 < 100)[..., None], 220, 30)
    path = tmp_path / "disc.png"
    Image.fromarray(np.broadcast_to(pixels, (40, 60, 3)).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def run():
    """Run the command line in this process. The result has exit_code, stdout and stderr."""
    from keras_sam.cli.app import app

    def invoke(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return invoke
