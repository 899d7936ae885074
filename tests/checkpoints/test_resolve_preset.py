import huggingface_hub
import kagglehub
import pytest

from keras_sam.checkpoints import CheckpointError, resolve_preset


@pytest.fixture(autouse=True)
def requests(monkeypatch):
    """The requests to the hubs, which all fail."""
    requests = []

    def fail(*arguments, **options):
        requests.append((*arguments, options.get("revision")))
        raise ConnectionError

    monkeypatch.setattr(kagglehub, "model_download", fail)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda _, *a, **o: fail(*a, **o))
    return requests


@pytest.mark.parametrize(
    "address",
    [
        "kaggle://a/../keras/b",
        "kaggle://../a/keras/b",
        "kaggle://a/b/keras/..",
        "kaggle://a/./keras/b",
        "kaggle://a/b/keras/c/latest",
        "kaggle://a/b/keras/c/-1",
        "kaggle://a/b/keras/c/1/model.weights.h5",
        "kaggle://a/b/keras/c\n",
        "kaggle://a//keras/c",
        "kaggle://a/b%2fc/keras/d",
        "kaggle://a/b/keras/c?x=1",
        "hf://a/..",
        "hf://../a",
        "hf://./a",
        "hf://a/b..c",
        "hf://-a/b",
        "hf://a/b.",
        "hf://a/b/c",
        "hf://a/b@",
        "hf://a/b@../c",
        "hf://a/b@/main",
        "hf://a/b@main/",
        "hf://a/b@main@main",
        "hf://ä/b",
        "hf://a\\b/c",
        "hf://user:password@a/b",
        "hf://" + "a" * 10_000 + "/b",
    ],
)
def test_malformed_address_raises_without_a_request(address, requests):
    with pytest.raises(CheckpointError, match=r"expected kaggle://user/.* or hf://user/") as error:
        resolve_preset(address)
    assert requests == []
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("address", "request_"),
    [
        ("kaggle://keras/sam/keras/sam_base_sa1b/5", ("keras/sam/keras/sam_base_sa1b/5", None)),
        ("kaggle://a-b/c.d/keras/e_f", ("a-b/c.d/keras/e_f", None)),
        ("hf://facebook/sam-vit-base", ("facebook/sam-vit-base", None)),
        ("hf://a/b-v1.0@refs/pr/1", ("a/b-v1.0", "refs/pr/1")),
    ],
)
def test_usual_address_is_requested(address, request_, requests):
    with pytest.raises(CheckpointError, match="no connection to"):
        resolve_preset(address)
    assert requests[0] == request_


def test_built_in_name_is_downloaded_only_for_weights(requests):
    assert (resolve_preset("sam_vit_base", load_weights=False) / "config.json").is_file()
    assert (resolve_preset("sam_tiny_synthetic") / "model.weights.h5").is_file()
    assert requests == []
    with pytest.raises(CheckpointError, match="no connection to Hugging Face"):
        resolve_preset("sam_vit_base")


def test_local_paths(tmp_path, monkeypatch):
    (tmp_path / "sam.pth").write_bytes(b"")
    monkeypatch.setenv("HOME", str(tmp_path))
    for preset in (tmp_path / "sam.pth", str(tmp_path / "sam.pth"), "~/sam.pth"):
        assert resolve_preset(preset) == tmp_path / "sam.pth"
    with pytest.raises(CheckpointError, match="no directory, no file and no built-in preset"):
        resolve_preset(tmp_path / "missing")
