"""Downloads from Kaggle and Hugging Face: named files of one revision, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.parse_config import is_transformers_config, parse_config
from keras_sam.checkpoints.preset_files import (
    CONFIG,
    IMAGE_CONVERTER,
    PREPROCESSING,
    PREPROCESSOR_CONFIG,
    SHARD,
    SHARD_INDEX,
    THRESHOLDS,
    WEIGHTS,
    read_json,
    shards_of,
)
from keras_sam.checkpoints.read_preprocessing import preprocessing_file
from keras_sam.checkpoints.transformers.read_transformers import (
    SAFETENSORS,
    SAFETENSORS_INDEX,
    SAFETENSORS_SHARD,
)
from keras_sam.checkpoints.verify_download import verify_download

OPTIONAL = (PREPROCESSING, THRESHOLDS, IMAGE_CONVERTER, PREPROCESSOR_CONFIG)


@dataclass(frozen=True)
class HubModel:
    """A model on a hub.

    Attributes:
        address: as the user gave it.
        page: where a browser finds it.
        fetch: the local path of a file, or `None` if there is none of this name.
        is_offline: whether only files of the cache are there.
    """

    address: str
    page: str
    fetch: Callable[[str], Path | None]
    is_offline: bool = False


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
        except OSError:  # no network
            if name in OPTIONAL:
                return None
            raise
        if handle.count("/") == 3 and file.parent.name.isdigit():
            pinned = f"{handle}/{file.parent.name}"  # the other files are of the same version
        return file

    page = f"https://www.kaggle.com/models/{'/'.join(handle.split('/')[:2])}"
    return _download(HubModel(f"kaggle://{handle}", page, fetch), load_weights=load_weights)


def download_from_hugging_face(repo: str, *, revision: str | None, load_weights: bool) -> Path:
    """The local directory of a Hugging Face model at one commit.

    The revision is resolved to a commit once, and all files come from that commit. Without a
    network they come from the cache, as far as they are there.

    Raises:
        CheckpointError: if it cannot be downloaded; tells what to do without a network.
    """
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    address = f"hf://{repo}" + (f"@{revision}" if revision else "")
    page = f"https://huggingface.co/{repo}"
    commit, is_offline = _hugging_face_commit(repo, revision, address, page)

    def fetch(name: str) -> Path | None:
        held = huggingface_hub.try_to_load_from_cache(repo, name, revision=commit)
        try:
            file = huggingface_hub.hf_hub_download(
                repo, name, revision=commit, local_files_only=is_offline
            )
        except EntryNotFoundError as error:
            if isinstance(error, LocalEntryNotFoundError) and not is_offline:
                raise  # the network failed
            return None
        if not isinstance(held, str):
            verify_download(Path(file), source=address)
        return Path(file)

    return _download(HubModel(address, page, fetch, is_offline), load_weights=load_weights)


def _hugging_face_commit(
    repo: str, revision: str | None, address: str, page: str
) -> tuple[str, bool]:
    """The commit a revision stands for; offline, what the cache knows of it, and `True`."""
    import huggingface_hub
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        return huggingface_hub.HfApi().model_info(repo, revision=revision).sha or "main", False
    except RevisionNotFoundError as error:
        raise CheckpointError(f"'{address}' has no such revision") from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(f"there is no public model '{address}' on Hugging Face") from error
    except Exception as error:  # the network's errors are many and of several packages
        cached = huggingface_hub.try_to_load_from_cache(repo, CONFIG, revision=revision)
        if isinstance(cached, str):
            return Path(cached).parent.name, True
        raise _cannot_download(address, page, str(error) or type(error).__name__) from error


def _download(model: HubModel, *, load_weights: bool) -> Path:
    """Fetches the files of a preset by name; the weights only if its config is one we read."""
    try:
        config = model.fetch(CONFIG)
        if config is None:
            raise _lacks(model, CONFIG)
        contents = read_json(config, source=model.address)
        parse_config(contents, source=model.address)
        is_transformers = is_transformers_config(contents)
        if model.fetch(PREPROCESSING) is None:
            model.fetch(preprocessing_file(is_transformers=is_transformers))
        else:  # only this package writes either file
            model.fetch(THRESHOLDS)
        if load_weights:
            _fetch_weights(model, is_transformers=is_transformers)
    except CheckpointError:
        raise
    except Exception as error:  # the network's errors are many and of several packages
        reason = str(error) or type(error).__name__
        raise _cannot_download(model.address, model.page, reason) from error
    return config.parent


def _fetch_weights(model: HubModel, *, is_transformers: bool) -> None:
    """The single file, or else the shards that the index names."""
    single, index, pattern = (
        (SAFETENSORS, SAFETENSORS_INDEX, SAFETENSORS_SHARD)
        if is_transformers
        else (WEIGHTS, SHARD_INDEX, SHARD)
    )
    if model.fetch(single) is not None:
        return
    index_file = model.fetch(index)
    if index_file is None:
        raise _lacks(model, f"{single} and no {index}")
    for name in shards_of(index_file, pattern, source=model.address):
        if model.fetch(name) is None:
            raise _lacks(model, f"{name}, which its {index} names")


def _lacks(model: HubModel, name: str) -> CheckpointError:
    if model.is_offline:
        reason = f"no network, and its cache has no {name}"
        return _cannot_download(model.address, model.page, reason)
    return CheckpointError(f"'{model.address}' has no {name}")


def _cannot_download(address: str, page: str, reason: str) -> CheckpointError:
    first_line = reason.strip().split("\n", 1)[0][:200]
    return CheckpointError(
        f"cannot download '{address}' ({first_line}); without a network, download the preset's "
        f"files from {page} elsewhere, put them in a directory here, and give its path instead"
    )
