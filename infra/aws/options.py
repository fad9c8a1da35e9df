"""What may be chosen of a stack: `python -m infra.deploy up --max-tasks 8`."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.s3 import SCHEME
from app.settings import Settings
from infra.aws.network import EVERYWHERE
from infra.aws.resource import DeployError
from infra.aws.task import FIXED

Words = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: tuple(re.findall(r"[^\s,]+", value)) if isinstance(value, str) else value),
]


class Options(BaseModel):
    """All options; docs/deploy.md has the same table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str = Field(
        "larder", pattern=r"^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$", description="the name of all that is made"
    )
    image: str = Field("", description="an image of this machine, to be pushed; empty: the one that runs")
    tag: str = Field("", description="instead, the tag of an image that was pushed before")
    architecture: Literal["amd64", "arm64"] = Field("amd64", description="`amd64` or `arm64`, as the image")
    api_keys: str = Field(
        "", description="a file with the keys, comma-separated, or `-`; `none`: open to all; empty: as it is"
    )
    google_credentials: str = Field(
        "", description="a file with Google's credentials for Firestore, or `-`; `none`; empty: as it is"
    )
    set: tuple[str, ...] = Field(
        (), description="a setting of the service, `LARDER_LABELS=s3://bucket/labels.txt`; several"
    )
    certificate: str = Field(
        "", pattern=r"^(arn:aws[a-z-]*:acm:.*)?$", description="a certificate's ARN: HTTPS, and HTTP redirects there"
    )
    cidr: Words = Field((EVERYWHERE,), description="the addresses that may call, comma-separated")
    subnets: Words = Field((), description="the subnets, comma-separated; empty: the default VPC's in three zones")
    task_subnets: Words = Field((), description="other subnets for the tasks, without public addresses")
    min_tasks: int = Field(1, ge=1, le=1000, description="the least tasks")
    max_tasks: int = Field(4, ge=1, le=1000, description="the most tasks")
    requests: int = Field(
        400, ge=1, le=1_000_000, description="requests a minute and task, beyond which more tasks start"
    )
    cpu: int = Field(60, ge=10, le=95, description="percent of the processors, beyond which more tasks start")
    notify: str = Field(
        "", pattern=r"^(arn:aws[a-z-]*:sns:.*)?$", description="the ARN of a topic in SNS that alarms are sent to"
    )

    @field_validator("cidr")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ipaddress.IPv4Network(each)) for each in value)

    @field_validator("set")
    @classmethod
    def _settings(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Settings of the service that are free here, with values that several tasks can share."""
        for each in value:
            name, equals, given = each.partition("=")
            field = name.removeprefix("LARDER_").lower()
            if not name.startswith("LARDER_") or field not in Settings.model_fields or name in FIXED:
                raise ValueError(
                    f"{name}: LARDER_NAME=VALUE with one of the README's settings, but {', '.join(sorted(FIXED))}"
                )
            if not equals:
                raise ValueError(f"{each}: no value is given; {each}=VALUE is the form")
            if given.startswith(SCHEME) and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]*(/[^*?$]*)?", given):
                raise ValueError(
                    f"{each}: s3://BUCKET/KEY without *, ? and $, which mean more than themselves in a role"
                )
            if given in ("sqlite", "faiss"):
                raise ValueError(f"{each}: every task would have its own, and it goes with the task")
            _check(name, field, given)
        return value

    @model_validator(mode="after")
    def _together(self) -> "Options":
        if self.image and self.tag:
            raise ValueError("--image or --tag, not both")
        if self.max_tasks < self.min_tasks:
            raise ValueError(f"--max-tasks {self.max_tasks} is less than --min-tasks {self.min_tasks}")
        if self.api_keys == self.google_credentials == "-":
            raise ValueError("standard input can be one secret only")
        return self

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings of the service, by name."""
        return dict(each.split("=", 1) for each in self.set)


def read_options(given: Mapping[str, Any]) -> Options:
    """The options of the values given; raises DeployError with one line that says what is allowed."""
    try:
        return Options.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        own = first["msg"].removeprefix("Value error, ")  # said by us; pydantic's words begin with a capital
        message = own if own != first["msg"] else f"{own[0].lower()}{own[1:]}"
        if not first["loc"]:
            raise DeployError(message) from error
        name, found = str(first["loc"][0]).replace("_", "-"), first["input"]
        raise DeployError(f"--{name} {' '.join(found) if isinstance(found, list) else found}: {message}") from error


def _check(name: str, field: str, given: str) -> None:
    """Raises ValueError when the service would refuse the value at its start."""
    try:
        Settings.model_validate({field: given})
    except ValidationError as error:
        said = [each["msg"] for each in error.errors() if each["loc"][:1] == (field,)]
        if said:
            raise ValueError(f"{name}={given}: {said[0][0].lower()}{said[0][1:]}") from error
