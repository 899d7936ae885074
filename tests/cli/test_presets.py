import json

from keras_sam.checkpoints import builtin_presets


def test_every_built_in_preset_is_listed(run):
    result = run("presets")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in builtin_presets())


def test_as_json(run):
    listed = json.loads(run("presets", "--json").stdout)
    assert set(listed) == set(builtin_presets())
    assert listed["sam_huge_sa1b"]["parameters"] == 641_090_864
