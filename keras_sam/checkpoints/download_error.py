"""`download_error`: the exceptions of hub clients as one sentence for the user."""

from collections.abc import Iterator
from dataclasses import dataclass

from keras_sam.errors import CheckpointError

# The clients depend on several transport libraries, and huggingface_hub has changed its own more
# than once (requests, httpx, httpx2). So exceptions are recognized by the names of their classes
# and base classes, which these libraries share.
CERTIFICATE = {"SSLError", "SSLCertVerificationError"}
TIMEOUT = {"TimeoutException", "Timeout", "TimeoutError"}
ACCESS_DENIED = {
    "GatedRepoError",
    "DisabledRepoError",
    "UnauthenticatedError",
    "CredentialError",
    "LocalTokenNotFoundError",
}
NO_REVISION = {"RevisionNotFoundError"}
NOT_FOUND = {"RepositoryNotFoundError", "RemoteEntryNotFoundError", "NotFoundError"}
DAMAGED = {"DataCorruptionError"}
NO_CONNECTION = {
    "ConnectError",
    "ConnectionError",
    "NetworkError",
    "ProxyError",
    "RemoteProtocolError",
    "OfflineModeIsEnabled",
    "LocalEntryNotFoundError",  # raised if the network fails and the cache has no such file
    "gaierror",
}


@dataclass(frozen=True)
class Hub:
    """A hub for error messages.

    Attributes:
        name: Name of the hub.
        address: Address of the model, as the user gave it.
        page: Address of the model's web page.
    """

    name: str
    address: str
    page: str


def download_error(hub: Hub, error: BaseException) -> CheckpointError:
    """Convert an exception of a download to an error with the reason and a remedy.

    The text of the exception is not part of the message: it often has many lines and no remedy.

    Args:
        hub: Hub and model of the download.
        error: Exception of huggingface_hub, kagglehub, or a transport library.
    """
    chain = list(_causes(error))
    names = {cls.__name__ for cause in chain for cls in type(cause).__mro__}
    status = next((code for cause in chain if (code := _http_status(cause)) is not None), None)
    if names & CERTIFICATE:
        return offline_error(hub, f"the certificate of {hub.name} could not be verified")
    if names & ACCESS_DENIED or (status in (401, 403) and not names & NOT_FOUND):
        return offline_error(hub, f"{hub.name} denied access", "log in and accept its terms")
    if names & NO_REVISION:
        return _error(hub, f"{hub.name} has no such revision", "check the address")
    if names & NOT_FOUND or status == 404:
        return _error(hub, f"{hub.name} has no such public model", "check the address or log in")
    if status is not None:
        reason = f"{hub.name} answered with the HTTP status {status}"
        return offline_error(hub, reason, "try again later")
    if names & TIMEOUT:
        return offline_error(hub, f"{hub.name} did not answer in time", "try again")
    if names & DAMAGED:
        return offline_error(hub, "a file was damaged by the transfer", "try again")
    if names & NO_CONNECTION:
        return offline_error(hub, f"no connection to {hub.name}")
    system = next((cause for cause in chain if isinstance(cause, OSError) and cause.strerror), None)
    if system is not None:
        return _error(hub, f"its files cannot be stored ({system.strerror})", "check the disk")
    return offline_error(hub, f"the client failed with {type(error).__name__}", "try again")


def offline_error(hub: Hub, reason: str, remedy: str = "") -> CheckpointError:
    """Return an error that recommends to download the files of a model elsewhere.

    Args:
        hub: Hub and model of the download.
        reason: Clause with the reason.
        remedy: Clause with a remedy to try first, if there is one.
    """
    elsewhere = f"download its files from {hub.page} elsewhere and give the path of their directory"
    return _error(hub, reason, f"{remedy}, or {elsewhere}" if remedy else elsewhere)


def _error(hub: Hub, reason: str, remedy: str) -> CheckpointError:
    return CheckpointError(f"cannot download '{hub.address}': {reason}; {remedy}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that caused it."""
    current: BaseException | None = error
    visited: set[int] = set()
    while current is not None and id(current) not in visited:
        visited.add(id(current))
        yield current
        suppressed = current.__suppress_context__
        current = current.__cause__ or (None if suppressed else current.__context__)


def _http_status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None
