"""Connection to one Firestore database: channel, credentials, commit and read, with errors mapped to StoreUnavailable.

Google's library finds the keys of EC2 instances and those in variables, but not those of an ECS task's role, which
`TaskRole` fetches for AWS federation.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.api_core import exceptions
from google.auth import aws
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from google.oauth2 import service_account

from app.errors import StoreUnavailable

_OF_AWS = "urn:ietf:params:aws:token-type:aws4_request"
_CHANNEL = [
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),  # by default gRPC waits for up to two minutes
    ("grpc.min_reconnect_backoff_ms", 5_000),  # despite its name: the duration of one attempt
    ("grpc.keepalive_time_ms", 30_000),
]
_FOR_CALLERS = (exceptions.AlreadyExists, exceptions.FailedPrecondition, exceptions.NotFound, exceptions.Aborted)
_REFUSED = (exceptions.Forbidden, exceptions.Unauthenticated, exceptions.ResourceExhausted, exceptions.BadRequest)
_NEVER_SENT = ("failed to connect", "errors resolving", "DNS resolution failed", "metadata from plugin failed")
_NOTHING = "nothing was stored"
_PERHAPS = (
    "it is not known whether the change was stored: ask for the item, or repeat the call with its Idempotency-Key"
)


class Connection:
    """The database `(default)` of a project, or of the emulator at `emulator` (HOST:PORT). Connects on first use."""

    def __init__(self, project: str, emulator: str | None = None, credentials: Any = None) -> None:
        """Without credentials, use the platform's; raises StoreUnavailable if the platform has none either."""
        self.database = f"projects/{project}/databases/(default)"
        self.metadata = [("google-cloud-resource-prefix", self.database)]
        if emulator:
            self.metadata.append(("authorization", "Bearer owner"))
        self._channel = _channel(emulator, credentials)
        self.api: Any = FirestoreClient(transport=FirestoreGrpcTransport(channel=self._channel))

    def document(self, collection: str, document_id: str) -> str:
        """Return a document's full name."""
        return f"{self.database}/documents/{collection}/{document_id}"

    def commit(self, writes: list[dict[str, Any]], deadline: float) -> Any:
        """Commit all writes or none before `deadline` (monotonic), and return the CommitResponse.

        Raises AlreadyExists, FailedPrecondition, NotFound and Aborted unchanged: after each, nothing was stored. Raises
        StoreUnavailable for all others; its message tells whether the writes may have been stored.
        """
        request = types.CommitRequest(database=self.database, writes=writes)
        with _failures(_PERHAPS):
            response = self.api.commit(request, timeout=left(deadline), retry=None, metadata=self.metadata)
        return types.CommitResponse.pb(response)

    def read(self, names: list[str], deadline: float) -> dict[str, Any]:
        """Read the existing documents, by full name, from one consistent read; raises StoreUnavailable."""
        request = types.BatchGetDocumentsRequest(database=self.database, documents=names)
        with _failures(_NOTHING):
            answers = self.api.batch_get_documents(request, timeout=left(deadline), retry=None, metadata=self.metadata)
            found = [types.BatchGetDocumentsResponse.pb(answer).found for answer in answers]
        return {document.name: document for document in found if document.name}

    def query(self, query: dict[str, Any], deadline: float) -> list[Any]:
        """Run a structured query and return its documents in order; raises StoreUnavailable."""
        request = types.RunQueryRequest(parent=f"{self.database}/documents", structured_query=query)
        with _failures(_NOTHING):
            answers = self.api.run_query(request, timeout=left(deadline), retry=None, metadata=self.metadata)
            found = [types.RunQueryResponse.pb(answer).document for answer in answers]
        return [document for document in found if document.name]

    def close(self) -> None:
        """End all calls."""
        self._channel.close()


def left(deadline: float) -> float:
    """Return the seconds until `deadline` (monotonic), at least 0.01, because gRPC takes no 0."""
    return max(deadline - time.monotonic(), 0.01)


@contextmanager
def _failures(outcome: str) -> Iterator[None]:
    """Map Firestore's errors to StoreUnavailable; `outcome` is for those that do not prove that nothing was stored."""
    try:
        yield
    except _FOR_CALLERS:
        raise
    except exceptions.GoogleAPICallError as error:
        status = error.grpc_status_code.name if error.grpc_status_code else type(error).__name__
        if isinstance(error, _REFUSED) or any(sign in error.message for sign in _NEVER_SENT):
            outcome = _NOTHING
        raise StoreUnavailable(f"Firestore answers with {status}; {outcome}") from error


def _channel(emulator: str | None, credentials: Any) -> Any:
    if emulator:
        return grpc.insecure_channel(emulator, options=_CHANNEL)
    try:
        return FirestoreGrpcTransport.create_channel(credentials=credentials, options=_CHANNEL)
    except GoogleAuthError as error:
        line = " ".join(str(error).split())
        raise StoreUnavailable(
            f"there are no credentials for Firestore (docs/firestore.md says how): {line}"
        ) from error


class TaskRole(aws.AwsSecurityCredentialsSupplier):
    """The keys of an ECS task's role, fetched whenever a token is needed; they are valid for hours."""

    def __init__(self, url: str, region: str) -> None:
        self._url = url
        self._region = region

    def get_aws_security_credentials(self, context: Any, request: Any) -> Any:  # noqa: ARG002 - Google's signature
        response = request(url=self._url, method="GET")
        if response.status != 200:
            raise RefreshError(f"the ECS task's keys cannot be fetched: {response.status}")  # type: ignore[no-untyped-call]
        keys = json.loads(response.data)
        return aws.AwsSecurityCredentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["Token"])

    def get_aws_region(self, context: Any, request: Any) -> str:  # noqa: ARG002 - Google's signature
        return self._region


def credentials_of(text: str, task_role: tuple[str, str] | None) -> Any:
    """Create credentials from Google's JSON: a service account's key, or a federation with AWS.

    `task_role` is the URL of an ECS task's keys and its region. Raises StoreUnavailable for other JSON.
    """
    info = json.loads(text)
    scopes = FirestoreGrpcTransport.AUTH_SCOPES
    try:
        if info.get("type") == "service_account":
            # the untyped calls are Google's
            return service_account.Credentials.from_service_account_info(info, scopes=scopes)  # type: ignore[no-untyped-call]
        if info.get("subject_token_type") != _OF_AWS:
            raise ValueError(info.get("type"))
        if task_role:
            info = {name: value for name, value in info.items() if name != "credential_source"}
            info["aws_security_credentials_supplier"] = TaskRole(*task_role)
        return aws.Credentials.from_info(info, scopes=scopes)  # type: ignore[no-untyped-call]
    except (GoogleAuthError, ValueError, KeyError, TypeError) as error:
        # Google's message may repeat the value, which is a secret
        known = "a service account's key or the configuration of a federation with AWS"
        raise StoreUnavailable(f"LARDER_GOOGLE_CREDENTIALS does not hold {known}") from error
