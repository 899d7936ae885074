"""Downloads from Kaggle and Hugging Face: files with fixed names, all of one revision."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from keras_sam.checkpoints.download_error import Hub, download_error, offline_error
from keras_sam.checkpoints.inference_config_file import INFERENCE_CONFIG
from keras_sam.checkpoints.preset_files import CONFIG, PresetFiles, read_shard_names
from keras_sam.checkpoints.registry import CHECKPOINT_FORMATS, find_format
from keras_sam.errors import CheckpointError

CHUNK = 2**20  # bytes


class Fetch(Protocol):
    """Function that downloads one file of a model."""

    def __call__(self, name: str, /, *, is_optional: bool = False) -> Path | None:
        """Return the local path, or `None` if the model has no file of this name.

        Args:
            name: Name of the file.
            is_optional: If True, the model can be used without the file.
        """


@dataclass(frozen=True)
class HubModel:
    """A model on a hub.

    Attributes:
        hub: Hub and address, for error messages.
        fetch: Function that downloads one file.
        is_offline: If True, only files in the cache are available.
    """

    hub: Hub
    fetch: Fetch
    is_offline: bool = False


def download_from_kaggle(handle: str, *, load_weights: bool) -> Path:
    """Download a model of Kaggle and return its local directory.

    Args:
        handle: `user/model/keras/variant`, with an optional version.
        load_weights: If True, weights are downloaded.

    Raises:
        CheckpointError: If it cannot be downloaded. The message has the reason and a remedy.
    """
    import kagglehub
    from kagglehub.exceptions import KaggleApiHTTPError, NotFoundError

    pinned = handle

    def fetch(name: str, /, *, is_optional: bool = False) -> Path | None:
        nonlocal pinned
        try:
            file = Path(kagglehub.model_download(pinned, path=name))
        except NotFoundError:
            return None
        except KaggleApiHTTPError as error:
            if error.response is not None and error.response.status_code == 404:
                return None
            raise
        except OSError:  # no network; a pinned version may still be in the cache
            if is_optional:
                return None
            raise
        if handle.count("/") == 3 and file.parent.name.isdigit():
            pinned = f"{handle}/{file.parent.name}"  # all files come from the same version
        return file

    page = f"https://www.kaggle.com/models/{'/'.join(handle.split('/')[:2])}"
    hub = Hub("Kaggle", f"kaggle://{handle}", page)
    return _download(HubModel(hub, fetch), load_weights=load_weights)


def download_from_hugging_face(repo: str, *, revision: str | None, load_weights: bool) -> Path:
    """Download a model of Hugging Face and return its local directory.

    The revision is resolved to a commit once, and all files come from that commit. Without a
    network, files come from the cache.

    Args:
        repo: `user/model`.
        revision: Branch, tag or commit; the default branch if `None`.
        load_weights: If True, weights are downloaded.

    Raises:
        CheckpointError: If it cannot be downloaded. The message has the reason and a remedy.
    """
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    address = f"hf://{repo}" + (f"@{revision}" if revision else "")
    hub = Hub("Hugging Face", address, f"https://huggingface.co/{repo}")
    commit, is_offline = _resolve_commit(hub, repo, revision)

    def fetch(name: str, /, *, is_optional: bool = False) -> Path | None:
        cached = huggingface_hub.try_to_load_from_cache(repo, name, revision=commit)
        try:
            file = huggingface_hub.hf_hub_download(
                repo, name, revision=commit, local_files_only=is_offline
            )
        except EntryNotFoundError as error:
            if isinstance(error, LocalEntryNotFoundError) and not is_offline:
                raise  # the network failed, so the file may exist
            return None
        if not isinstance(cached, str):
            verify_download(Path(file), source=address)
        return Path(file)

    return _download(HubModel(hub, fetch, is_offline), load_weights=load_weights)


def verify_download(file: Path, *, source: str) -> None:
    """Compare a fresh download with its hash, which is its name in the cache of Hugging Face.

    Large files are named by their SHA-256, small ones by the SHA-1 of their git object. Files
    with other names are not compared.

    Args:
        file: Path that huggingface_hub returned, perhaps a link to the named file.
        source: Address of the model, for error messages.

    Raises:
        CheckpointError: If the hash differs. The file is removed.
    """
    blob = file.resolve()
    if re.fullmatch("[0-9a-f]{64}", blob.name):
        digest = hashlib.sha256()
    elif re.fullmatch("[0-9a-f]{40}", blob.name):
        digest = hashlib.sha1(b"blob %d\0" % blob.stat().st_size, usedforsecurity=False)
    else:
        return
    with blob.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != blob.name:
        blob.unlink()
        file.unlink(missing_ok=True)
        raise CheckpointError(
            f"the download of {file.name} of '{source}' was damaged and is removed; try again"
        )


def _resolve_commit(hub: Hub, repo: str, revision: str | None) -> tuple[str, bool]:
    """Return the commit of a revision, and True if it comes from the cache without a network."""
    import huggingface_hub
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        return huggingface_hub.HfApi().model_info(repo, revision=revision).sha or "main", False
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise download_error(hub, error) from error
    except Exception as error:  # the errors of the network come from several packages
        cached = huggingface_hub.try_to_load_from_cache(repo, CONFIG, revision=revision)
        if isinstance(cached, str):
            return Path(cached).parent.name, True
        raise download_error(hub, error) from error


def _download(model: HubModel, *, load_weights: bool) -> Path:
    """Download the files of a model. Weights follow only after a config that is supported."""
    try:
        config = model.fetch(CONFIG)
        if config is None:
            raise _missing(model, CONFIG)
        directory, source = config.parent, model.hub.address
        checkpoint_format = CHECKPOINT_FORMATS[find_format(directory, source=source)]
        checkpoint_format.read(directory, load_weights=False, source=source)
        files = checkpoint_format.files
        if files is None:
            raise CheckpointError(f"'{source}' has a format that cannot be downloaded")
        if model.fetch(INFERENCE_CONFIG, is_optional=True) is None:
            model.fetch(files.processor, is_optional=True)
        if load_weights:
            _fetch_weights(model, files)
    except CheckpointError:
        raise
    except Exception as error:  # the errors of the network come from several packages
        raise download_error(model.hub, error) from error
    return directory


def _fetch_weights(model: HubModel, files: PresetFiles) -> None:
    """Download the file of weights, or the shards in the index."""
    if model.fetch(files.weights) is not None:
        return
    index = model.fetch(files.index)
    if index is None:
        raise _missing(model, f"{files.weights} and no {files.index}")
    for name in read_shard_names(index, files.shard, source=model.hub.address):
        if model.fetch(name) is None:
            raise _missing(model, f"{name}, which its {files.index} names")


def _missing(model: HubModel, name: str) -> CheckpointError:
    if model.is_offline:
        reason = f"no connection to {model.hub.name}, and the cache has no {name}"
        return offline_error(model.hub, reason)
    return CheckpointError(f"'{model.hub.address}' has no {name}")
