"""Downloads from Kaggle and Hugging Face: named files of one revision, and nothing else."""

from collections.abc import Callable
from pathlib import Path

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.preset_files import (
    CONFIG,
    IMAGE_CONVERTER,
    SHARD,
    SHARD_INDEX,
    WEIGHTS,
    read_json,
    shards_of,
)
from keras_sam.checkpoints.read_transformers import (
    SAFETENSORS,
    SAFETENSORS_INDEX,
    SAFETENSORS_SHARD,
)

Fetch = Callable[[str], Path | None]


def download_from_kaggle(handle: str, *, load_weights: bool) -> Path:
    """The local directory of a Kaggle model `user/model/keras/variant[/version]`.

    Raises:
        CheckpointError: if it cannot be downloaded; tells what to do without a network.
    """
    import kagglehub
    from kagglehub.exceptions import KaggleApiHTTPError, NotFoundError

    pinned = handle

    def fetch(name: str) -> Path | None:
        nonlocal pinned
        try:
            file = Path(kagglehub.model_download(pinned, path=name))
        except NotFoundError:
            return None
        except KaggleApiHTTPError as error:
            if error.response is not None and error.response.status_code == 404:
                return None
            raise
        if handle.count("/") == 3 and file.parent.name.isdigit():
            pinned = f"{handle}/{file.parent.name}"  # the other files are of the same version
        return file

    address = f"kaggle://{handle}"
    page = f"https://www.kaggle.com/models/{'/'.join(handle.split('/')[:2])}"
    return _download(fetch, address, page=page, load_weights=load_weights)


def download_from_hugging_face(repo: str, *, revision: str | None, load_weights: bool) -> Path:
    """The local directory of a Hugging Face model at one commit.

    The revision is resolved to a commit once, and all files come from that commit.

    Raises:
        CheckpointError: if it cannot be downloaded; tells what to do without a network.
    """
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    address = f"hf://{repo}" + (f"@{revision}" if revision else "")
    commit = _hugging_face_commit(repo, revision, address)

    def fetch(name: str) -> Path | None:
        try:
            return Path(huggingface_hub.hf_hub_download(repo, name, revision=commit))
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError:
            return None

    page = f"https://huggingface.co/{repo}"
    return _download(fetch, address, page=page, load_weights=load_weights)


def _hugging_face_commit(repo: str, revision: str | None, address: str) -> str:
    """The commit a revision stands for; offline, what the cache knows of it."""
    import huggingface_hub
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        return huggingface_hub.HfApi().model_info(repo, revision=revision).sha or "main"
    except RevisionNotFoundError as error:
        raise CheckpointError(f"'{address}' has no such revision") from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(f"there is no public model '{address}' on Hugging Face") from error
    except Exception as error:  # the network's errors are many and of several packages
        cached = huggingface_hub.try_to_load_from_cache(repo, CONFIG, revision=revision)
        if isinstance(cached, str):
            return Path(cached).parent.name
        page = f"https://huggingface.co/{repo}"
        raise _cannot_download(address, page, error) from error


def _download(fetch: Fetch, address: str, *, page: str, load_weights: bool) -> Path:
    """Fetches the files that a preset of any supported format needs, by name."""
    try:
        config = fetch(CONFIG)
        if config is None:
            raise CheckpointError(f"'{address}' has no {CONFIG}")
        fetch(IMAGE_CONVERTER)
        if load_weights:
            _fetch_weights(fetch, config, address)
    except CheckpointError:
        raise
    except Exception as error:  # the network's errors are many and of several packages
        raise _cannot_download(address, page, error) from error
    return config.parent


def _fetch_weights(fetch: Fetch, config: Path, address: str) -> None:
    """The single file, or else the shards that the index names."""
    contents = read_json(config, source=address)
    is_transformers = isinstance(contents, dict) and "model_type" in contents
    single, index, pattern = (
        (SAFETENSORS, SAFETENSORS_INDEX, SAFETENSORS_SHARD)
        if is_transformers
        else (WEIGHTS, SHARD_INDEX, SHARD)
    )
    if fetch(single) is not None:
        return
    index_file = fetch(index)
    if index_file is None:
        raise CheckpointError(f"'{address}' has no {single} and no {index}")
    for name in shards_of(index_file, pattern, source=address):
        if fetch(name) is None:
            raise CheckpointError(f"'{address}' has no {name}, which its {index} names")


def _cannot_download(address: str, page: str, error: Exception) -> CheckpointError:
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return CheckpointError(
        f"cannot download '{address}' ({first_line}); without a network, download the preset's "
        f"files from {page} elsewhere, put them in a directory here, and give its path instead"
    )
