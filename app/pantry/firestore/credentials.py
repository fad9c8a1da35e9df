"""Google credentials from a setting, for platforms without their own; includes the role of an ECS task.

Google's library finds the keys of EC2 instances and those in variables, but not those of an ECS task's role. This
module fetches them for AWS federation.
"""

import json
from typing import Any

from google.auth import aws
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from google.oauth2 import service_account

from app.errors import StoreUnavailable

_OF_AWS = "urn:ietf:params:aws:token-type:aws4_request"


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
