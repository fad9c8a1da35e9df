"""AWS's clients, and where they work: the account, the region and its partition."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.aws.resource import DeployError

_ADVICE = {
    "AccessDenied": "infra/iam has the policy that allows it",
    "AccessDeniedException": "infra/iam has the policy that allows it",
    "UnauthorizedOperation": "infra/iam has the policy that allows it",
    "ExpiredToken": "log in again, then give the same command: it goes on from here",
    "ExpiredTokenException": "log in again, then give the same command: it goes on from here",
}


class Cloud:
    """One session's clients, each made when it is first asked for."""

    def __init__(self, session: Any) -> None:
        """Raises DeployError when no region is configured."""
        if session.region_name is None:
            raise DeployError("no region: give --region, or set AWS_REGION")
        self.session = session
        self.region: str = session.region_name
        self.partition: str = session.get_partition_for_region(self.region)
        self._clients: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        """The client of a service, by boto3's name for it."""
        if service not in self._clients:
            config = Config(retries={"mode": "standard", "total_max_attempts": 5})
            self._clients[service] = self.session.client(service, config=config)
        return self._clients[service]

    @cached_property
    def account(self) -> str:
        """The account's number."""
        account: str = self("sts").get_caller_identity()["Account"]
        return account

    def arn(self, service: str, resource: str, region: str | None = None) -> str:
        """The name of a resource of this account, in this region unless another or none is given."""
        place = self.region if region is None else region
        return f"arn:{self.partition}:{service}:{place}:{self.account}:{resource}"


def open_cloud(region: str | None, profile: str | None) -> Cloud:
    """The clients for credentials as AWS's own tools find them; raises DeployError."""
    try:
        return Cloud(boto3.Session(region_name=region, profile_name=profile))
    except BotoCoreError as error:
        raise DeployError(f"AWS cannot be used: {error}") from error


@contextmanager
def named(what: str) -> Iterator[None]:
    """What AWS says, in one line with the resource that it is about."""
    try:
        yield
    except ClientError as error:
        said = error.response["Error"]
        advice = _ADVICE.get(said["Code"], "mend that, then give the same command: it goes on from here")
        message = " ".join(said.get("Message", "no reason given").split())
        raise DeployError(f"{what}: {error.operation_name}: {message} ({said['Code']}); {advice}") from error
    except BotoCoreError as error:
        raise DeployError(f"{what}: {error}; the same command goes on from here") from error


def code(error: ClientError) -> str:
    """AWS's short name for what went wrong."""
    return str(error.response["Error"]["Code"])
