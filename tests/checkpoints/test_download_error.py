import errno
import ssl
from types import SimpleNamespace

import huggingface_hub.errors as hf
import kagglehub.exceptions as kaggle
import pytest
import requests

from keras_sam.checkpoints import CheckpointError
from keras_sam.checkpoints.download_error import Hub, download_error

transport = pytest.importorskip(hf.HfHubHTTPError.__mro__[1].__module__.partition(".")[0])
HUB = Hub("Hugging Face", "hf://user/model", "https://huggingface.co/user/model")
ELSEWHERE = (
    "download its files from https://huggingface.co/user/model elsewhere and give the path of "
    "their directory"
)
SECRET = "url?token=secret"


def hf_error(cls, status):
    request = transport.Request("GET", "https://huggingface.co/x")
    return cls(SECRET, response=transport.Response(status, request=request))


def kaggle_error(status):
    return kaggle.KaggleApiHTTPError(SECRET, SimpleNamespace(status_code=status))


def caused_by(error, cause):
    error.__cause__ = cause
    return error


ERRORS = {
    "no connection to Hugging Face": [
        ConnectionError(SECRET),
        requests.ConnectionError(SECRET),
        requests.exceptions.ProxyError(SECRET),
        transport.ConnectError(SECRET),
        hf.OfflineModeIsEnabled(SECRET),
        hf.LocalEntryNotFoundError(SECRET),
        caused_by(hf.LocalEntryNotFoundError(SECRET), transport.ConnectError(SECRET)),
        caused_by(RuntimeError(SECRET), requests.ConnectionError(SECRET)),
    ],
    "Hugging Face did not answer in time": [
        TimeoutError(SECRET),
        requests.Timeout(SECRET),
        requests.exceptions.ConnectTimeout(SECRET),
        transport.ReadTimeout(SECRET),
        caused_by(hf.LocalEntryNotFoundError(SECRET), transport.ConnectTimeout(SECRET)),
    ],
    "the certificate of Hugging Face could not be verified": [
        requests.exceptions.SSLError(SECRET),
        caused_by(transport.ConnectError(SECRET), ssl.SSLCertVerificationError(SECRET)),
    ],
    "Hugging Face denied access": [
        hf_error(hf.GatedRepoError, 403),
        hf_error(hf.HfHubHTTPError, 401),
        kaggle_error(401),
        kaggle_error(403),
        kaggle.UnauthenticatedError(SECRET),
    ],
    "Hugging Face has no such public model": [
        hf_error(hf.RepositoryNotFoundError, 401),
        hf_error(hf.RepositoryNotFoundError, 404),
        hf_error(hf.RemoteEntryNotFoundError, 404),
        kaggle.NotFoundError(SECRET),
        kaggle_error(404),
    ],
    "Hugging Face has no such revision": [hf_error(hf.RevisionNotFoundError, 404)],
    "Hugging Face answered with the HTTP status 503": [
        hf_error(hf.HfHubHTTPError, 503),
        caused_by(hf.LocalEntryNotFoundError(SECRET), hf_error(hf.HfHubHTTPError, 503)),
        kaggle_error(503),
    ],
    "a file was damaged by the transfer": [kaggle.DataCorruptionError(SECRET)],
    "its files cannot be stored (No space left on device)": [
        OSError(errno.ENOSPC, "No space left on device", SECRET)
    ],
    "the client failed with BackendError": [kaggle.BackendError(SECRET)],
}
# The remedy is not the download of the files elsewhere.
OTHER_REMEDIES = {
    "Hugging Face has no such public model": "check the address or log in",
    "Hugging Face has no such revision": "check the address",
    "its files cannot be stored (No space left on device)": "check the disk",
}


@pytest.mark.parametrize(
    ("reason", "error"),
    [(reason, error) for reason, errors in ERRORS.items() for error in errors],
)
def test_message_has_preset_reason_and_remedy(reason, error):
    converted = download_error(HUB, error)
    message = str(converted)
    assert isinstance(converted, CheckpointError)
    assert message.startswith(f"cannot download 'hf://user/model': {reason}; ")
    assert message.endswith(OTHER_REMEDIES.get(reason, ELSEWHERE))
    assert "secret" not in message
    assert "\n" not in message


def test_unrelated_earlier_errors_do_not_matter():
    """An exception during the handling of another one, which was not its cause."""
    error = caused_by(ConnectionError(), None)
    error.__context__ = hf_error(hf.RevisionNotFoundError, 404)
    error.__suppress_context__ = True
    assert "no connection" in str(download_error(HUB, error))
