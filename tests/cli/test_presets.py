import json

from keras_sam.checkpoints import builtin_presets


def test_every_built_in_preset_is_listed(run):
    result = run("presets")
    assert result.exit_code == 0
    for name, info in builtin_presets().items():
        assert f"{name}  ({info.parameters:,} parameters, {info.license})" in result.stdout
        assert info.source in result.stdout
    assert "hf://wanglab/medsam-vit-base" in result.stdout
    assert "in this package" in result.stdout


def test_json(run):
    presets = json.loads(run("presets", "--json").stdout)
    assert set(presets) == set(builtin_presets())
    assert presets["sam_huge_sa1b"]["parameters"] == 641_090_864
    assert presets["medsam"]["inference_config"] == "medsam"
