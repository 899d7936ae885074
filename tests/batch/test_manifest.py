import pytest

from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.manifest import Manifest, ManifestGuard
from keras_sam.predict.generator_config import GeneratorConfig


def manifest(**generator):
    settings = BatchSettings(generator=GeneratorConfig(**generator))
    return Manifest("photos", settings.to_dict())


def test_manifest_survives_a_file(tmp_path):
    assert Manifest.load(tmp_path) is None
    manifest().save(tmp_path)
    assert Manifest.load(tmp_path) == manifest()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"source": "a", "settings": []}'])
def test_damaged_file_raises(tmp_path, text):
    (tmp_path / "_manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"_manifest\.json is damaged"):
        Manifest.load(tmp_path)


def test_guard_accepts_the_same_settings(tmp_path):
    ManifestGuard(tmp_path, manifest()).check_model("a" * 16)
    ManifestGuard(tmp_path, manifest()).check_model("a" * 16)


def test_guard_lists_every_difference(tmp_path):
    ManifestGuard(tmp_path, manifest())
    other = Manifest("scans", manifest(points_per_side=4).settings)
    with pytest.raises(ValueError, match=r"points_per_side was 32 and is now 4") as error:
        ManifestGuard(tmp_path, other)
    assert "source was 'photos' and is now 'scans'" in str(error.value)


def test_guard_rejects_another_model(tmp_path):
    guard = ManifestGuard(tmp_path, manifest())
    guard.check_model("a" * 16)
    for later in (guard, ManifestGuard(tmp_path, manifest())):
        with pytest.raises(ValueError, match=f"model_hash was '{'a' * 16}'"):
            later.check_model("b" * 16)
