"""The configuration of both stacks: a TOML file, validated before any request to AWS."""

import re
import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.types import StringConstraints

from app.s3 import SCHEME
from app.settings import Settings

ROOT = Path(__file__).parents[2]
FIXED = {"LARDER_DATA", "LARDER_HOST", "LARDER_PORT", "LARDER_API_KEYS", "LARDER_GOOGLE_CREDENTIALS"}
"""Settings that are not configurable: others depend on them, or they are secrets."""

ID = r"([0-9a-f]{8}|[0-9a-f]{17})"
Architecture = Literal["amd64", "arm64"]
Subnets = tuple[Annotated[str, StringConstraints(pattern=rf"^subnet-{ID}$")], ...]


def arn(service: str, resource: str) -> str:
    """Return a pattern for an ARN, or an empty text."""
    return rf"^(arn:aws[a-z-]*:{service}:[a-z0-9-]+:\d{{12}}:{resource})?$"


GOOGLE: Any = Field(
    "",
    pattern=arn("secretsmanager", r"secret:[\w/+=.@-]+-\w{6}"),
    description="the complete ARN of a secret with Google's credentials for Firestore",
)


class ConfigError(Exception):
    """An error of the configuration, in one line: the value, what was found, what is allowed."""


class Part(BaseModel):
    """The options of both stacks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: dict[str, str] = Field(
        {}, description='settings of the service: `settings = {LARDER_LABELS = "s3://bucket/labels.txt"}`'
    )

    @field_validator("settings")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        for name, given in value.items():
            check_setting(name, given)
        return value


class ServiceConfig(Part):
    """ECS Fargate behind a load balancer."""

    cidr: tuple[IPv4Network, ...] = Field(
        min_length=1, description='must be given: the addresses that may call; `["0.0.0.0/0"]`: all of them'
    )
    architecture: Architecture = Field("amd64", description="`amd64` or `arm64`, as the image")
    certificate: str = Field(
        "",
        pattern=arn("acm", r"certificate/[\w-]+"),
        description="a certificate's ARN: HTTPS, and HTTP redirects there",
    )
    vpc: str = Field("", pattern=rf"^(vpc-{ID})?$", description="a VPC of yours; empty: one is made")
    subnets: Subnets = Field((), description="its subnets for the load balancer, in two zones at least")
    task_subnets: Subnets = Field((), description="others for the tasks, without public addresses")
    min_tasks: int = Field(1, ge=1, le=1000, description="the least tasks")
    max_tasks: int = Field(4, ge=1, le=1000, description="the most tasks")
    requests: int = Field(400, ge=1, le=10**6, description="requests a minute and task, beyond which more tasks start")
    cpu: int = Field(60, ge=10, le=95, description="percent of the processors, beyond which more tasks start")
    google_credentials: str = GOOGLE
    notify: str = Field(
        "", pattern=arn("sns", r"[\w-]+"), description="the ARN of an SNS topic that alarms are sent to"
    )

    @model_validator(mode="after")
    def _together(self) -> "ServiceConfig":
        if self.max_tasks < self.min_tasks:
            raise ValueError(f"max_tasks {self.max_tasks} is less than min_tasks {self.min_tasks}")
        if bool(self.vpc) != bool(self.subnets) or (self.task_subnets and not self.vpc):
            raise ValueError("vpc and subnets go together, and task_subnets with them")
        if self.vpc and len(set(self.subnets)) < 2:
            raise ValueError("subnets: a load balancer needs two, in two zones")
        return self


class FunctionConfig(Part):
    """Lambda behind an HTTP API."""

    bundle: str = Field("larder-small", description="a bundle under `models/`, baked into the image")
    architecture: Architecture = Field("arm64", description="`arm64` or `amd64`")
    memory: int = Field(3008, ge=512, le=10240, description="MB; a processor comes with every 1,769 of them")
    timeout: int = Field(29, ge=5, le=29, description="seconds; API Gateway waits no longer than that")
    provisioned_concurrency: int = Field(0, ge=0, le=1000, description="environments that are kept warm, and paid for")
    rate: int = Field(50, ge=1, le=10_000, description="requests a second, beyond which API Gateway answers 429")
    burst: int = Field(100, ge=1, le=5_000, description="requests at once, beyond which API Gateway answers 429")
    google_credentials: str = GOOGLE

    @field_validator("bundle")
    @classmethod
    def _there(cls, value: str) -> str:
        found = sorted(path.parent.name for path in (ROOT / "models").glob("*/config.json"))
        if value not in found:
            raise ValueError(f"one of {', '.join(found)}; `make model` exports others")
        return value


class Config(BaseModel):
    """The complete file; docs/deploy.md has the same tables."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        "larder",
        pattern=r"^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$",
        description="the name of the stacks and of their resources",
    )
    api_keys: Literal["generate", "none"] = Field(
        "generate", description="`generate`: a key is made, and kept in a secret; `none`: open to all"
    )
    service: ServiceConfig | None = Field(None, description="the table `[service]`: ECS, if it is there")
    function: FunctionConfig | None = Field(None, description="the table `[function]`: Lambda, if it is there")

    @model_validator(mode="after")
    def _something(self) -> "Config":
        if not (self.service or self.function):
            raise ValueError("a table [service] or [function] is expected")
        return self


def check_setting(name: str, given: str) -> None:
    """Raise ValueError for an unknown or fixed setting, or a value that the service would refuse."""
    field = name.removeprefix("LARDER_").lower()
    if not name.startswith("LARDER_") or field not in Settings.model_fields or name in FIXED:
        raise ValueError(f"{name}: a setting of docs/settings.md is expected, but none of {', '.join(sorted(FIXED))}")
    if given.startswith(SCHEME) and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]*(/[^*?$]*)?", given):
        raise ValueError(
            f"{name}={given}: s3://BUCKET/KEY without *, ? and $, which mean more than themselves in a role"
        )
    if given in ("sqlite", "faiss"):
        raise ValueError(f"{name}={given}: every task would have its own, and it goes with the task")
    try:
        Settings.model_validate({field: given})
    except ValidationError as error:
        said = [each["msg"] for each in error.errors() if each["loc"][:1] == (field,)]
        if said:  # other variables of this machine's environment do not matter
            raise ValueError(f"{name}={given}: {said[0][0].lower()}{said[0][1:]}") from error


def parse_config(given: Mapping[str, Any]) -> Config:
    """Validate a configuration. Raises ConfigError."""
    try:
        return Config.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        own = first["msg"].removeprefix("Value error, ")
        message = own if own != first["msg"] else f"{own[0].lower()}{own[1:]}"  # pydantic's begin with a capital
        place = ".".join(map(str, first["loc"]))
        found = first["input"] if isinstance(first["input"], str | int) else ""
        raise ConfigError(f"{place}{f' = {found}' if found != '' else ''}: {message}" if place else message) from error


def read_config(path: Path) -> Config:
    """Read and check a configuration file. Raises ConfigError."""
    try:
        return parse_config(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error.__cause__
