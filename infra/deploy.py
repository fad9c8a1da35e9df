"""The service on AWS, from nothing and back: `python -m infra.deploy plan`, `up`, `status` and `down`.

Each may be given again at any time: what is as it shall be is left alone, and what was cut short is finished.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infra.aws.balancer import Balancer
from infra.aws.cloud import Cloud, named, open_cloud
from infra.aws.deployment import Deployment, Patience
from infra.aws.network import NOWHERE
from infra.aws.options import Options, read_options
from infra.aws.push import Source, find_image
from infra.aws.request import asked
from infra.aws.resource import DeployError
from infra.aws.stack import resources

COMMANDS = {
    "plan": "say what up would do",
    "up": "make what is not there, change what differs, push the image, wait until all is ready",
    "status": "say what is there; the exit status is 1 unless all of it is ready",
    "down": "delete all of it: images, logs and secrets too",
}


def parser() -> argparse.ArgumentParser:
    """The command line; options may stand in a file too, one a line, that is named with an @."""
    top = argparse.ArgumentParser(
        prog="python -m infra.deploy", description="The service on AWS.", fromfile_prefix_chars="@"
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, what in COMMANDS.items():
        sub = commands.add_parser(command, help=what, description=what, fromfile_prefix_chars="@")
        sub.add_argument("--region", help="AWS's region; without it, the one of AWS's own settings")
        sub.add_argument("--profile", help="the profile in AWS's own settings")
        if command in ("up", "down"):
            sub.add_argument("--dry-run", action="store_true", help="only say what would be done")
            sub.add_argument("--patience", type=float, default=900, metavar="S", help="seconds to wait for AWS (900)")
        names = Options.model_fields if command in ("plan", "up") else ["stack"]
        for name in names:
            description = str(Options.model_fields[name].description).replace("%", "%%")
            action = "append" if name == "set" else "store"
            sub.add_argument(f"--{name.replace('_', '-')}", action=action, default=argparse.SUPPRESS, help=description)
    return top


@dataclass(frozen=True)
class Around:
    """What the commands find around them: AWS, this machine's images, and the clock."""

    open_cloud: Callable[[str | None, str | None], Cloud] = open_cloud
    find_image: Callable[[str], Source] = find_image
    patience: Callable[[float], Patience] = Patience


def main(arguments: Sequence[str] | None = None, around: Around = Around()) -> int:
    """Run one command; returns the exit status."""
    given = vars(parser().parse_args(arguments))
    command, region, profile = given.pop("command"), given.pop("region"), given.pop("profile")
    dry_run, limit = given.pop("dry_run", command == "plan"), given.pop("patience", 900)
    try:
        options = read_options(given)
        cloud = around.open_cloud(region, profile)
        with named(f"stack {options.stack}"):
            looking = command in ("status", "down")
            what = resources(cloud, options) if looking else asked(cloud, options, around.find_image)
        deployment = Deployment(options.stack, what, around.patience(limit))
        return run(command, deployment, Balancer(cloud, options.stack, NOWHERE), dry_run)
    except DeployError as error:
        print(f"larder: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("larder: stopped; the same command goes on from here", file=sys.stderr)
        return 130


def run(command: str, deployment: Deployment, balancer: Balancer, dry_run: bool) -> int:
    """Carry out a command; returns the exit status."""
    if command == "down":
        deployment.down(dry_run)
        return 0
    if dry_run:
        deployment.plan()
        return 0
    if command == "status":
        return 0 if deployment.status() else 1
    deployment.up()
    print(f"http://{balancer.address()}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
