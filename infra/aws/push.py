"""An image of this machine, sent to a registry by docker, podman or skopeo, whichever has it."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.aws.resource import DeployError

TOOLS = {  # how each tells of an image
    "docker": ["docker", "image", "inspect"],
    "podman": ["podman", "image", "inspect"],
    "skopeo": ["skopeo", "inspect"],
}


class Source(Protocol):
    """Where an image comes from."""

    @property
    def tag(self) -> str:
        """A name that no other content has."""

    @property
    def architecture(self) -> str:
        """`amd64` or `arm64`."""

    def push(self, target: str, user: str, password: str) -> None:
        """Send it to `target`, REGISTRY/REPOSITORY:TAG; raises DeployError."""


@dataclass(frozen=True)
class LocalImage:
    """An image that a tool of this machine has."""

    tool: str
    name: str
    tag: str
    architecture: str

    def push(self, target: str, user: str, password: str) -> None:
        """The password stands in a file that only we can read and that ends with this call, on no command line."""
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        logins = json.dumps({"auths": {target.partition("/")[0]: {"auth": login}}})
        with tempfile.TemporaryDirectory() as folder:  # its mode is 0700
            file = Path(folder) / "config.json"
            file.write_text(logins)
            if self.tool == "docker":
                environment = {"DOCKER_CONFIG": folder, "DOCKER_HOST": _engine()}
                commands = [["tag", self.name, target], ["push", "--quiet", target]]
            else:
                environment = {"REGISTRY_AUTH_FILE": str(file)}
                verb = "push" if self.tool == "podman" else "copy"
                commands = [[verb, "--quiet", self.name, f"docker://{target}"]]
            for command in commands:
                _run([self.tool, *command], environment)


def find_image(name: str) -> LocalImage:
    """The image of that name, from the first tool that has it; raises DeployError when none has.

    Docker and podman take a name such as `larder`; skopeo one with its transport, such as `oci:folder`.
    """
    there = [tool for tool in TOOLS if shutil.which(tool)]
    for tool in there:
        answer = subprocess.run([*TOOLS[tool], name], capture_output=True, text=True)  # noqa: S603 - a fixed list
        if answer.returncode == 0:
            told = json.loads(answer.stdout)
            told = told[0] if isinstance(told, list) else told
            digest = (told.get("Id") or told["Digest"]).removeprefix("sha256:")
            return LocalImage(tool, name, digest[:16], told["Architecture"])
    raise DeployError(f"--image {name}: no such image for {', '.join(there) or 'want of docker, podman and skopeo'}")


def _engine() -> str:
    """Where docker's engine is: what its present context says, which stands in the settings that are left aside."""
    context = ["docker", "context", "inspect", "-f", "{{.Endpoints.docker.Host}}"]
    return os.environ.get("DOCKER_HOST") or _run(context, {}).strip()


def _run(command: list[str], environment: dict[str, str]) -> str:
    """What a command prints; raises DeployError with its last line when it fails."""
    answer = subprocess.run(  # noqa: S603 - our own words and an image's name, without a shell
        command, env={**os.environ, **environment}, capture_output=True, text=True
    )
    if answer.returncode:
        last = (answer.stderr.strip() or "no reason given").splitlines()[-1]
        raise DeployError(f"{' '.join(command[:2])}: {last}; the same command goes on from here")
    return answer.stdout
