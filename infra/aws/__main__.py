"""`python -m infra.aws`: deploy the stacks with the CDK; roll, status, logs and keys for the running service."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.aws.check import check_account, read_keys
from infra.aws.config import ConfigError, ServiceConfig, read_config
from infra.aws.push import find_image, pushed_image
from infra.aws.roll import Roller, RollError, one_line

CDK = ["npx", "--yes", "aws-cdk@2.1148.1"]
COMMANDS = {
    "plan": ("", "check the configuration and the account, and show what deploy would change"),
    "deploy": ("IMAGE", "make or change the stacks; without an image, the one that runs stays"),
    "destroy": ("", "delete the stacks: images, logs and secrets too"),
    "roll": ("IMAGE", "push an image of this machine, or take sha256:..., and replace the tasks; go back if they fail"),
    "status": ("", "show the running service; the exit status is 1 unless it is healthy"),
    "logs": ("MINUTES", "the log of the tasks of the last minutes (10)"),
    "keys": ("FILE", "put the keys of a file, or - for standard input, in place of all others, and replace the tasks"),
}


class Commands:
    """The commands, one method each."""

    def __init__(self, session: Any, path: Path) -> None:
        self._session, self._path = session, path.resolve()
        self._config = read_config(path)

    def plan(self) -> int:
        check_account(self._session, self._config)
        return self._cdk("diff")

    def deploy(self, image: str = "") -> int:
        """Deploy the repository first, then push the image, then deploy the service."""
        check_account(self._session, self._config)
        name = self._config.name
        if service := self._config.service:
            if image and not image.startswith("sha256:"):
                find_image(image, service.architecture)  # before anything is created
            running = "" if image else self._roller(service).image()
            if status := self._cdk("deploy", f"{name}-repository"):
                return status
            uri = running or self._push(image, service)
            if status := self._cdk("deploy", name, "--parameters", f"{name}:Image={uri}"):
                return status
        return self._cdk("deploy", f"{name}-function") if self._config.function else 0

    def destroy(self) -> int:
        return self._cdk("destroy", "--all")

    def roll(self, image: str) -> int:
        service = self._service()
        self._roller(service).roll(self._push(image, service))
        return 0

    def status(self) -> int:
        well, lines = self._roller(self._service()).status()
        print("\n".join(lines))
        return 0 if well else 1

    def logs(self, minutes: str = "10") -> int:
        try:
            lines = self._roller(self._service()).log(float(minutes))
        except ValueError:
            raise ConfigError(f"{minutes}: a number of minutes is expected") from None
        print("\n".join(lines))
        return 0

    def keys(self, place: str) -> int:
        """Replace the API keys: ECS reads the secret when a task starts, Lambda when an environment starts."""
        if self._config.api_keys == "none":
            raise ConfigError('api_keys = "none": the service is open to all and has no secret')
        keys, secrets = ",".join(read_keys(place)), self._session.client("secretsmanager")
        if self._config.function:
            secrets.put_secret_value(SecretId=f"{self._config.name}-function/api-keys", SecretString=keys)
        if self._config.service:
            secrets.put_secret_value(SecretId=f"{self._config.name}/api-keys", SecretString=keys)
            self._roller(self._config.service).renew()
        return 0

    def _service(self) -> ServiceConfig:
        if self._config.service is None:
            raise ConfigError("a table [service] is expected")
        return self._config.service

    def _roller(self, service: ServiceConfig) -> Roller:
        return Roller(self._session, self._config, service)

    def _push(self, image: str, service: ServiceConfig) -> str:
        return pushed_image(self._session.client("ecr"), self._config.name, image, service.architecture)

    def _cdk(self, *words: str) -> int:
        """Run the CDK's command line, which asks before it widens permissions or deletes."""
        command = [*CDK, *words, "--context", f"config={self._path}"]
        return subprocess.run(command, cwd=Path(__file__).parents[1]).returncode  # noqa: S603 - arguments of our own


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.aws", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("larder.toml"), help="the configuration (larder.toml)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (argument, what) in COMMANDS.items():
        sub = commands.add_parser(name, help=what, description=what)
        if argument:
            sub.add_argument("argument", metavar=argument, nargs="?" if name in ("deploy", "logs") else None)
    given = parser.parse_args(arguments)
    words = [given.argument] if getattr(given, "argument", None) else []
    try:
        status: int = getattr(Commands(boto3.Session(), given.config), given.command)(*words)
        return status
    except (ConfigError, RollError) as error:
        print(f"larder: {error}", file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        print(f"larder: {one_line(error)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
