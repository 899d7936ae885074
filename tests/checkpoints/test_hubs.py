"""Downloads, with the hubs' own functions replaced by what they return for a local directory."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import kagglehub
import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from kagglehub.exceptions import KaggleApiHTTPError, NotFoundError

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.preprocessing import MEDSAM, SAM
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.transformers.write_transformers import write_transformers

COMMIT = "c" * 40
NEAREST_OF_TRANSFORMERS = MEDSAM | {"normalization": "unit", "upscaled": "logits"}
ADDRESSES = {
    "hugging face": f"hf://user/model@{COMMIT}",
    "kaggle": "kaggle://user/model/keras/variant",
}


@pytest.fixture(params=["hugging face", "kaggle"])
def hub(request, preset, tmp_path, monkeypatch):
    """A model whose files are those of `preset`; `fetched` lists what was asked for."""
    hub = SimpleNamespace(
        address=ADDRESSES[request.param], fetched=[], is_down=False, requests=[], source=preset
    )

    def local_copy(name, folder, missing):
        hub.fetched.append(name)
        if hub.is_down:
            raise ConnectionError("no route to host")
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


def test_the_preset_is_read(hub, tiny):
    (hub.source / "image_converter.json").unlink()
    found = read_checkpoint(hub.address)
    assert found.config == tiny.config
    assert set(found.arrays) == set(tiny.arrays)
    ours = ["preprocessing.json", "thresholds.json"]
    assert hub.fetched == ["config.json", *ours, "model.weights.h5"]


def test_a_preset_of_keras_hub_has_no_file_of_ours(hub):
    (hub.source / "preprocessing.json").unlink()
    assert read_checkpoint(hub.address, load_weights=False).preprocessing == SAM
    assert hub.fetched == ["config.json", "preprocessing.json", "image_converter.json"]


@pytest.mark.parametrize("has_ours", [True, False])
def test_the_preprocessing_of_transformers_is_fetched(hub, checkpoint, has_ours):
    shutil.rmtree(hub.source)
    write_transformers(hub.source, replace(checkpoint, preprocessing=MEDSAM), dtype="float32")
    fetched, expected = ["config.json", "preprocessing.json", "thresholds.json"], MEDSAM
    if not has_ours:
        (hub.source / "preprocessing.json").unlink()
        fetched, expected = [*fetched[:2], "preprocessor_config.json"], NEAREST_OF_TRANSFORMERS
    assert read_checkpoint(hub.address, load_weights=False).preprocessing == expected
    assert hub.fetched == fetched


def test_thresholds_are_fetched(hub, checkpoint):
    own = {"pred_iou_thresh": 0.4, "stability_score_thresh": 0.6}
    shutil.rmtree(hub.source)
    write_transformers(hub.source, replace(checkpoint, thresholds=own), dtype="float32")
    assert read_checkpoint(hub.address, load_weights=False).thresholds == own


def test_all_files_are_of_one_version(hub):
    read_checkpoint(hub.address)
    versions = {
        "hf": [("user/model", COMMIT)] * 4,
        "kaggle": [("user/model/keras/variant",)] + [("user/model/keras/variant/7",)] * 3,
    }
    assert hub.requests == versions[hub.address.partition(":")[0]]


def test_no_weights_are_fetched_if_none_are_asked_for(hub):
    read_checkpoint(hub.address, load_weights=False)
    assert hub.fetched == ["config.json", "preprocessing.json", "thresholds.json"]


@pytest.mark.parametrize(
    "config",
    ['{"registered_name": "keras_hub>GemmaBackbone"}', '{"model_type": "llama"}', "{}", "[", ""],
)
def test_nothing_is_fetched_after_a_bad_config(hub, config):
    (hub.source / "config.json").write_text(config)
    with pytest.raises(CheckpointError):
        read_checkpoint(hub.address)
    assert hub.fetched == ["config.json"]


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_missing_file(hub, name):
    (hub.source / name).unlink()
    with pytest.raises(CheckpointError, match=f"'{hub.address}' has no {name}"):
        read_checkpoint(hub.address)


@pytest.mark.parametrize("name", ["../model_00000.weights.h5", "/etc/passwd", "model.weights.h5"])
def test_an_index_that_names_other_files(hub, name):
    (hub.source / "model.weights.h5").unlink()
    (hub.source / "model.weights.json").write_text(f'{{"weight_map": {{"/a/vars": "{name}"}}}}')
    with pytest.raises(CheckpointError, match="names the file"):
        read_checkpoint(hub.address)
    assert hub.fetched[-1] == "model.weights.json"


def test_a_missing_shard(hub):
    (hub.source / "model.weights.h5").unlink()
    index = '{"weight_map": {"/a/vars": "model_00000.weights.h5"}}'
    (hub.source / "model.weights.json").write_text(index)
    with pytest.raises(CheckpointError, match=r"has no model_00000\.weights\.h5, which its"):
        read_checkpoint(hub.address)


def test_no_network(hub):
    hub.is_down = True
    with pytest.raises(CheckpointError, match=r"no route to host.* give its path instead"):
        read_checkpoint(hub.address)


def test_the_network_fails_on_the_way(preset, monkeypatch):
    """Then an optional file is not taken for one that does not exist."""

    def hf_hub_download(repo, name, **_):
        if name == "config.json":
            return str(preset / name)
        raise LocalEntryNotFoundError("the network failed")

    info = SimpleNamespace(sha=COMMIT)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: info)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
    with pytest.raises(CheckpointError, match="the network failed"):
        read_checkpoint("hf://user/model")


@pytest.fixture
def cache(preset, tmp_path, monkeypatch):
    """The snapshot in a cache of Hugging Face that a network once filled; there is none now."""
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
def test_a_cache_without_optional_files_offline(cache, tiny, address):
    found = read_checkpoint(address)
    assert found.config == tiny.config
    assert found.preprocessing == SAM
    assert set(found.arrays) == set(tiny.arrays)


def test_a_cache_without_weights_offline(cache):
    (cache / "model.weights.h5").unlink()
    with pytest.raises(CheckpointError, match=r"no network, and its cache has no model\.weights"):
        read_checkpoint("hf://user/model")


def test_nothing_in_the_cache_offline(cache):
    with pytest.raises(CheckpointError, match="give its path instead"):
        read_checkpoint("hf://user/other")


@pytest.mark.parametrize("status", [404, 503])
def test_optional_files_of_kaggle_offline(preset, monkeypatch, status):
    """A cached version needs the network for a file that is not there alone."""

    def model_download(handle, path):
        if path not in ("image_converter.json", "preprocessing.json"):
            return str(preset / path)
        if status == 404:
            raise KaggleApiHTTPError("", SimpleNamespace(status_code=status))
        raise ConnectionError("no route to host")

    (preset / "image_converter.json").unlink()
    (preset / "preprocessing.json").unlink()
    monkeypatch.setattr(kagglehub, "model_download", model_download)
    assert read_checkpoint("kaggle://user/model/keras/variant/7").preprocessing == SAM
