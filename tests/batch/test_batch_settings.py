import json
import subprocess
import sys

import numpy as np

from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.predict.generator_config import GeneratorConfig


def test_to_dict_contains_every_option_that_affects_masks():
    values = BatchSettings(dtype="bfloat16", generator=GeneratorConfig(crop_n_layers=1)).to_dict()
    assert values["dtype"] == "bfloat16"
    assert values["generator"]["crop_n_layers"] == 1
    assert "output_mode" not in values["generator"]


def test_to_dict_survives_json():
    grids = [np.array([[0.5, 0.25], [0.75, 0.5]])]
    generator = GeneratorConfig(points_per_side=None, point_grids=grids)
    for settings in (BatchSettings(), BatchSettings(generator=generator)):
        assert json.loads(json.dumps(settings.to_dict())) == settings.to_dict()


def test_settings_do_not_import_keras():
    code = (
        "import sys, keras_sam.batch as batch; batch.BatchSettings(); "
        "sys.exit('keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
