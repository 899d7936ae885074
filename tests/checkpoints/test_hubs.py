"""Downloads, with the functions of the hubs' clients replaced by copies of local files."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import kagglehub
import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from kagglehub.exceptions import KaggleApiHTTPError, NotFoundError

from keras_sam.checkpoints import (
    CHECKPOINT_FORMATS,
    CheckpointError,
    read_checkpoint,
    write_transformers,
)
from keras_sam.checkpoints.hubs import verify_download
from keras_sam.transforms.inference_config import NAMED_CONFIGS, InferenceConfig
from keras_sam.transforms.preprocessing import Preprocessing
from tests.checkpoints.conftest import assert_same_arrays

COMMIT = "c" * 40
MEDSAM = NAMED_CONFIGS["medsam"]
ADDRESSES = {
    "hugging face": f"hf://user/model@{COMMIT}",
    "kaggle": "kaggle://user/model/keras/variant",
}


@pytest.fixture(params=["hugging face", "kaggle"])
def hub(request, preset, tmp_path, monkeypatch):
    """A model with the files of `preset`. `fetched` lists the names that were requested."""
    hub = SimpleNamespace(
        address=ADDRESSES[request.param], fetched=[], error=None, requests=[], source=preset
    )

    def local_copy(name, folder, missing):
        hub.fetched.append(name)
        if hub.error is not None:
            raise hub.error
        if not (preset / name).exists():
            raise missing
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        return str(shutil.copy(preset / name, tmp_path / folder / name))

    def hf_hub_download(repo, name, *, revision, local_files_only=False):
        hub.requests.append((repo, revision))
        return local_copy(name, f"snapshots/{revision}", EntryNotFoundError(name))

    def model_download(handle, path):
        hub.requests.append((handle,))
        return local_copy(path, "models/user/model/keras/variant/7", NotFoundError(path))

    info = SimpleNamespace(sha=COMMIT)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: info)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
    monkeypatch.setattr(kagglehub, "model_download", model_download)
    return hub


def replace_by_transformers(hub, checkpoint, **changes):
    """Replace the files of the model by those of transformers."""
    shutil.rmtree(hub.source)
    write_transformers(hub.source, replace(checkpoint, **changes), dtype="float32")


def test_preset_of_keras_hub(hub, tiny):
    checkpoint = read_checkpoint(hub.address)
    assert checkpoint.config == tiny.config
    assert checkpoint.inference_config == InferenceConfig()
    assert_same_arrays(checkpoint.arrays, tiny.arrays)
    processor = ["inference_config.json", "image_converter.json"]
    assert hub.fetched == ["config.json", *processor, "model.weights.h5"]


def test_model_of_transformers(hub, checkpoint):
    replace_by_transformers(hub, checkpoint)
    assert_same_arrays(read_checkpoint(hub.address).arrays, checkpoint.arrays)
    processor = ["inference_config.json", "preprocessor_config.json"]
    assert hub.fetched == ["config.json", *processor, "model.safetensors"]


def test_stored_settings_replace_those_of_the_processor(hub, checkpoint):
    replace_by_transformers(hub, checkpoint, inference_config=MEDSAM)
    assert read_checkpoint(hub.address, load_weights=False).inference_config == MEDSAM
    assert hub.fetched == ["config.json", "inference_config.json"]
    (hub.source / "inference_config.json").unlink()
    shutil.rmtree(hub.source.parent / "snapshots", ignore_errors=True)
    shutil.rmtree(hub.source.parent / "models", ignore_errors=True)
    nearest = replace(MEDSAM.preprocessing, normalization="unit")
    settings = read_checkpoint(hub.address, load_weights=False).inference_config
    assert settings == InferenceConfig(preprocessing=nearest)


def test_processor_is_optional(hub):
    (hub.source / "image_converter.json").unlink()
    settings = read_checkpoint(hub.address, load_weights=False).inference_config
    assert settings.preprocessing == Preprocessing()


def test_all_files_have_the_same_version(hub):
    read_checkpoint(hub.address)
    versions = {
        "hf": [("user/model", COMMIT)] * 4,
        "kaggle": [("user/model/keras/variant",)] + [("user/model/keras/variant/7",)] * 3,
    }
    assert hub.requests == versions[hub.address.partition(":")[0]]


@pytest.mark.parametrize(
    "config",
    [
        '{"registered_name": "keras_hub>GemmaBackbone"}',
        '{"model_type": "llama"}',
        '{"model_type": "sam", "vision_config": {"hidden_size": -1}}',
        "{}",
        "[",
        "",
    ],
)
def test_nothing_is_fetched_after_an_unsupported_config(hub, config):
    (hub.source / "config.json").write_text(config)
    with pytest.raises(CheckpointError):
        read_checkpoint(hub.address)
    assert hub.fetched == ["config.json"]


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_missing_file_is_named(hub, name):
    (hub.source / name).unlink()
    with pytest.raises(CheckpointError, match=f"'{hub.address}' has no {name}"):
        read_checkpoint(hub.address)


def test_shards_are_fetched(hub):
    (hub.source / "model.weights.h5").rename(hub.source / "model_00000.weights.h5")
    index = {"weight_map": {"/a/vars": "model_00000.weights.h5"}}
    (hub.source / "model.weights.json").write_text(json.dumps(index))
    read_checkpoint(hub.address)
    assert hub.fetched[-2:] == ["model.weights.json", "model_00000.weights.h5"]


@pytest.mark.parametrize("name", ["../model_00000.weights.h5", "/etc/passwd", "model.weights.h5"])
def test_index_that_names_other_files_raises(hub, name):
    (hub.source / "model.weights.h5").unlink()
    (hub.source / "model.weights.json").write_text(f'{{"weight_map": {{"/a/vars": "{name}"}}}}')
    with pytest.raises(CheckpointError, match="names the file"):
        read_checkpoint(hub.address)
    assert hub.fetched[-1] == "model.weights.json"


def test_missing_shard_is_named(hub):
    (hub.source / "model.weights.h5").unlink()
    index = '{"weight_map": {"/a/vars": "model_00000.weights.h5"}}'
    (hub.source / "model.weights.json").write_text(index)
    with pytest.raises(CheckpointError, match=r"has no model_00000\.weights\.h5, which its"):
        read_checkpoint(hub.address)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionError("no route to host"), "no connection to"),
        (TimeoutError("after 10 s"), "did not answer in time"),
        (PermissionError(13, "Permission denied"), "cannot be stored .Permission denied."),
    ],
)
def test_failed_download_is_explained(hub, error, reason):
    hub.error = error
    with pytest.raises(CheckpointError, match=f"cannot download '{hub.address}': .*{reason}"):
        read_checkpoint(hub.address)


def test_format_that_cannot_be_downloaded_raises(hub, monkeypatch):
    no_files = replace(CHECKPOINT_FORMATS["keras"], files=None)
    monkeypatch.setitem(CHECKPOINT_FORMATS, "keras", no_files)
    with pytest.raises(CheckpointError, match="has a format that cannot be downloaded"):
        read_checkpoint(hub.address)


def test_network_failure_is_not_taken_for_a_missing_file(preset, monkeypatch):
    def hf_hub_download(repo, name, **_):
        if name == "config.json":
            return str(preset / name)
        raise LocalEntryNotFoundError("the network failed")

    info = SimpleNamespace(sha=COMMIT)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: info)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
    with pytest.raises(CheckpointError, match="no connection to Hugging Face; download its files"):
        read_checkpoint("hf://user/model")


@pytest.fixture
def cache(preset, tmp_path, monkeypatch):
    """The snapshot in a cache of Hugging Face from an earlier download. There is no network."""
    root = tmp_path / "cache" / "models--user--model"
    (root / "refs").mkdir(parents=True)
    (root / "blobs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    snapshot = root / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.weights.h5"):
        shutil.copy(preset / name, root / "blobs" / name)
        (snapshot / name).symlink_to(Path("../../blobs") / name)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return snapshot


@pytest.mark.parametrize("address", ["hf://user/model", "hf://user/model@main"])
def test_cached_model_without_a_network(cache, tiny, address):
    checkpoint = read_checkpoint(address)
    assert checkpoint.config == tiny.config
    assert checkpoint.inference_config == InferenceConfig()
    assert_same_arrays(checkpoint.arrays, tiny.arrays)


def test_cache_without_weights_and_without_a_network(cache):
    (cache / "model.weights.h5").unlink()
    with pytest.raises(CheckpointError, match=r"no connection .*the cache has no model\.weights"):
        read_checkpoint("hf://user/model")


def test_empty_cache_without_a_network(cache):
    with pytest.raises(CheckpointError, match="no connection to Hugging Face"):
        read_checkpoint("hf://user/other")


@pytest.mark.parametrize("error", ["404", "no network"])
def test_optional_files_of_kaggle_may_be_unavailable(preset, monkeypatch, error):
    """A cached version needs the network only for files that are not in the cache."""

    def model_download(handle, path):
        if path not in ("image_converter.json", "inference_config.json"):
            return str(preset / path)
        if error == "404":
            raise KaggleApiHTTPError("", SimpleNamespace(status_code=404))
        raise ConnectionError

    (preset / "image_converter.json").unlink()
    monkeypatch.setattr(kagglehub, "model_download", model_download)
    checkpoint = read_checkpoint("kaggle://user/model/keras/variant/7")
    assert checkpoint.inference_config == InferenceConfig()


CONTENTS = b"weights"


def git_name(contents: bytes) -> str:
    return hashlib.sha1(b"blob " + str(len(contents)).encode() + b"\0" + contents).hexdigest()


def cached(folder: Path, blob: str, contents: bytes) -> Path:
    """Add a file to a cache, and return the link to it."""
    (folder / "blobs").mkdir(parents=True)
    (folder / "snapshots").mkdir()
    (folder / "blobs" / blob).write_bytes(contents)
    link = folder / "snapshots" / "model.safetensors"
    link.symlink_to(Path("../blobs") / blob)
    return link


@pytest.mark.parametrize("name", [hashlib.sha256(CONTENTS).hexdigest(), git_name(CONTENTS), "x"])
def test_download_with_the_right_hash_is_kept(tmp_path, name):
    file = cached(tmp_path, name, CONTENTS)
    verify_download(file, source="hf://user/model")
    assert file.read_bytes() == CONTENTS


@pytest.mark.parametrize("name", [hashlib.sha256(CONTENTS).hexdigest(), git_name(CONTENTS)])
def test_download_with_another_hash_is_removed(tmp_path, name):
    file = cached(tmp_path, name, b"weighty")
    with pytest.raises(CheckpointError, match=r"model\.safetensors of 'hf://user/model' was damag"):
        verify_download(file, source="hf://user/model")
    assert not file.is_symlink()
    assert not (tmp_path / "blobs" / name).exists()


def test_hash_of_git_objects():
    """The name of the empty file in every git repository."""
    assert git_name(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_damaged_config_is_not_read(preset, tmp_path, monkeypatch):
    contents = (preset / "config.json").read_bytes()

    def hf_hub_download(repo, name, **_):
        return str(cached(tmp_path / "cache", git_name(contents), contents + b" "))

    info = SimpleNamespace(sha=COMMIT)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: info)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
    with pytest.raises(CheckpointError, match="was damaged and is removed"):
        read_checkpoint("hf://user/model")
