import huggingface_hub
import kagglehub
import pytest

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.resolve_preset import resolve_preset


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """What the hubs are asked for, which then fail."""
    asked = []

    def fail(*arguments, **options):
        asked.append((*arguments, options.get("revision")))
        raise ConnectionError("asked")

    monkeypatch.setattr(kagglehub, "model_download", fail)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda _, *a, **o: fail(*a, **o))
    return asked


@pytest.mark.parametrize(
    "handle",
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
def test_odd_handles(handle, asked):
    with pytest.raises(CheckpointError, match=r"expected kaggle://user/.* or hf://user/") as error:
        resolve_preset(handle)
    assert asked == []
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("handle", "request_"),
    [
        ("kaggle://keras/sam/keras/sam_base_sa1b/5", ("keras/sam/keras/sam_base_sa1b/5", None)),
        ("kaggle://a-b/c.d/keras/e_f", ("a-b/c.d/keras/e_f", None)),
        ("hf://facebook/sam-vit-base", ("facebook/sam-vit-base", None)),
        ("hf://a/b-v1.0@refs/pr/1", ("a/b-v1.0", "refs/pr/1")),
    ],
)
def test_usual_handles(handle, request_, asked):
    with pytest.raises(CheckpointError, match="asked"):
        resolve_preset(handle)
    assert asked[0] == request_
