"""What was asked for, held against this machine and this account before anything is made."""

import ipaddress
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from infra.aws.balancer import Targets
from infra.aws.cloud import Cloud
from infra.aws.network import Network, find_network
from infra.aws.options import Options
from infra.aws.push import Source
from infra.aws.resource import DeployError, Resource
from infra.aws.secrets import Secret, Value
from infra.aws.service import running_image
from infra.aws.stack import resources

_MUCH = 2**24  # public addresses: as many as a /8 has


def asked(cloud: Cloud, options: Options, find: Callable[[str], Source]) -> list[Resource]:
    """The resources that the options ask for; `find` looks for the image on this machine. Raises DeployError."""
    network = find_network(cloud, options.subnets, options.task_subnets)
    _refuse_to_move(cloud, options.stack, network)
    source = find(options.image) if options.image else None
    tag = _tag(cloud, options, source)
    secrets = _secrets(options)
    _refuse_to_open(cloud, options)
    return resources(cloud, options, network, tag, source, secrets)


def _refuse_to_move(cloud: Cloud, stack: str, network: Network) -> None:
    vpc = Targets(cloud, stack, network.vpc).vpc()
    if vpc and vpc != network.vpc:
        raise DeployError(f"the stack stands in {vpc} and cannot move to {network.vpc}: down first, or another --stack")


def _tag(cloud: Cloud, options: Options, source: Source | None) -> str:
    """The tag of the image that shall run: the one named, or the one that runs."""
    if options.tag:
        return options.tag
    found = (source.tag, source.architecture) if source else running_image(cloud("ecs"), options.stack)
    if found is None:
        raise DeployError("--image: none runs yet; name one of this machine, or with --tag one that was pushed before")
    tag, architecture = found
    if architecture != options.architecture:
        raise DeployError(f"--architecture {options.architecture}: the image is for {architecture}")
    return tag


def _secrets(options: Options) -> dict[str, Value]:
    """The secrets whose files were named, read and checked; their values are in no message."""
    values = {}
    if options.api_keys not in ("", "none"):
        keys = ",".join(_keys(options.api_keys))
        if not keys:
            raise DeployError(f"--api-keys {options.api_keys}: no key is in it; none: open to all")
        values["api-keys"] = Value.of(keys, f"{options.stack}/api-keys")
    if options.google_credentials not in ("", "none"):
        text = _read("google-credentials", options.google_credentials)
        try:
            text = json.dumps(json.loads(text))
        except ValueError:
            raise DeployError(f"--google-credentials {options.google_credentials}: it is not JSON") from None
        values["google-credentials"] = Value.of(text, f"{options.stack}/google-credentials")
    return values


def _keys(place: str) -> list[str]:
    """The keys of a file, separated by commas or white space; nothing else may be in it."""
    found = []
    for number, line in enumerate(_read("api-keys", place).split("\n"), start=1):
        keys = re.findall(r"[^\s,]+", line)
        if not all(re.fullmatch(r"[!-~]+", key) for key in keys) or re.search(r"""["'`#]""", line):
            raise DeployError(
                f"--api-keys {place}: line {number}: keys alone, comma-separated, may be there: ASCII letters, digits "
                "and signs, without quotes and comments"
            )
        found += keys
    return found


def _read(name: str, place: str) -> str:
    """A file's text without its byte order mark."""
    try:
        text = sys.stdin.read() if place == "-" else Path(place).read_text(encoding="utf-8")
        return text.removeprefix("\ufeff")
    except (OSError, UnicodeDecodeError) as error:
        raise DeployError(f"--{name} {place}: it cannot be read: {error}") from error


def _refuse_to_open(cloud: Cloud, options: Options) -> None:
    """Refuse a stack that is open by mistake: without keys and for much of the internet only where that was said."""
    networks = ipaddress.collapse_addresses(map(ipaddress.IPv4Network, options.cidr))
    public = sum(each.num_addresses for each in networks if not each.is_private)
    if options.api_keys or public < _MUCH:
        return
    if Secret(cloud, "api-keys", f"{options.stack}/api-keys", None, keep=True).find() is None:
        raise DeployError(
            f"--api-keys: there are none, and {','.join(options.cidr)} may call; a file with keys, - for standard "
            "input, none for a service that is open to all, or --cidr for some addresses"
        )
