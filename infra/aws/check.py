"""Check the names in a configuration against the account before anything is created; read API keys from a file."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.aws.config import Config, ConfigError, ServiceConfig

BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"  # where the CDK looks too


def check_account(session: Any, config: Config) -> None:
    """Look up what the configuration names. Raises ConfigError for anything missing or unsuitable."""
    if session.region_name is None:
        raise ConfigError("no region: set AWS_REGION")
    _look_up(
        "this account and region are not prepared for the CDK: `npx aws-cdk bootstrap` once",
        lambda: session.client("ssm").get_parameter(Name=BOOTSTRAP),
    )
    if config.function:
        _check_google(session, "function", config.function.google_credentials)
    if service := config.service:
        _check_arns(session, service)
        if service.vpc:
            _check_subnets(session.client("ec2"), service)


def _check_arns(session: Any, service: ServiceConfig) -> None:
    _check_google(session, "service", service.google_credentials)
    for name in ("certificate", "notify"):
        _check_region(session, f"service.{name}", getattr(service, name))
    if arn := service.certificate:
        found = _look_up(
            f"service.certificate: {arn} is not there",
            lambda: session.client("acm").describe_certificate(CertificateArn=arn),
        )
        if (status := found["Certificate"]["Status"]) != "ISSUED":
            raise ConfigError(f"service.certificate: {arn} is {status}; ISSUED is expected")
    if topic := service.notify:
        _look_up(
            f"service.notify: {topic} is not there",
            lambda: session.client("sns").get_topic_attributes(TopicArn=topic),
        )


def _check_google(session: Any, part: str, arn: str) -> None:
    _check_region(session, f"{part}.google_credentials", arn)
    if arn:
        _look_up(
            f"{part}.google_credentials: {arn} is not there",
            lambda: session.client("secretsmanager").describe_secret(SecretId=arn),
        )


def _check_region(session: Any, name: str, arn: str) -> None:
    if arn and arn.split(":")[3] != session.region_name:
        raise ConfigError(f"{name}: {arn} is not in {session.region_name}")


def _check_subnets(ec2: Any, service: ServiceConfig) -> None:
    ids = [*service.subnets, *service.task_subnets]
    found = _look_up("service.subnets: not all of them are there", lambda: ec2.describe_subnets(SubnetIds=ids))[
        "Subnets"
    ]
    if elsewhere := sorted(each["SubnetId"] for each in found if each["VpcId"] != service.vpc):
        raise ConfigError(f"service.subnets: {', '.join(elsewhere)} are not in {service.vpc}")
    zones = {each["AvailabilityZone"] for each in found if each["SubnetId"] in service.subnets}
    if len(zones) < 2:
        raise ConfigError(f"service.subnets: they are in {len(zones)} availability zone; a load balancer needs two")


def _look_up(missing: str, call: Callable[[], Any]) -> Any:
    """Return the answer of a call; raises ConfigError if the object does not exist."""
    try:
        return call()
    except ClientError as error:
        if re.search("NotFound|InvalidSubnetID|InvalidParameter", error.response["Error"]["Code"]):
            raise ConfigError(missing) from error
        raise


def read_keys(place: str) -> list[str]:
    """Read the API keys of a file, or of standard input for `-`, separated by commas or white space.

    Raises ConfigError, with the line number but not its content, for quotes, comments and non-ASCII letters.
    """
    try:
        data = sys.stdin.buffer.read() if place == "-" else Path(place).read_bytes()
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{place}: it cannot be read as text: {type(error).__name__}") from error
    keys: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        found = re.findall(r"[^\s,]+", line)
        if not all(re.fullmatch(r"[!-~]+", key) for key in found) or re.search(r"""["'`#]""", line):
            raise ConfigError(
                f"{place}: line {number}: keys alone, separated by commas, may be there: ASCII letters, digits and "
                "signs, without a byte order mark, quotes and comments"
            )
        keys += found
    if not keys:
        raise ConfigError(f"{place}: no key is in it")
    return keys
