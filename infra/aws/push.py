"""Push the image to ECR with docker, podman or skopeo, whichever has it, and identify it by digest."""

import base64
import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from infra.aws.config import ConfigError

TOOLS = {  # commands to inspect and push an image
    "docker": (["docker", "image", "inspect"], [["docker", "tag", "IMAGE", "TARGET"], ["docker", "push", "TARGET"]]),
    "podman": (["podman", "image", "inspect"], [["podman", "push", "IMAGE", "docker://TARGET"]]),
    "skopeo": (["skopeo", "inspect"], [["skopeo", "copy", "IMAGE", "docker://TARGET"]]),
}


@dataclass(frozen=True)
class LocalImage:
    """An image of a local tool; its tag is unique to its content."""

    tool: str
    name: str
    tag: str

    def push(self, target: str, password: str) -> None:
        """Log in and push it to `target`, REGISTRY/REPOSITORY:TAG. Raises ConfigError."""
        login = [self.tool, "login", "--username", "AWS", "--password-stdin", target.partition("/")[0]]
        _run(login, password)
        for command in TOOLS[self.tool][1]:
            _run([word.replace("IMAGE", self.name).replace("TARGET", target) for word in command])


def find_image(name: str, architecture: str) -> LocalImage:
    """Find a local image for an architecture. Raises ConfigError.

    docker and podman take a name such as `larder`; skopeo one with its transport, such as `oci:FOLDER`.
    """
    there = [tool for tool in TOOLS if shutil.which(tool)]
    for tool in there:
        answer = subprocess.run([*TOOLS[tool][0], name], capture_output=True, text=True)  # noqa: S603 - a fixed list
        if answer.returncode == 0:
            told = json.loads(answer.stdout)
            told = told[0] if isinstance(told, list) else told
            digest = (told.get("Id") or told["Digest"]).removeprefix("sha256:")
            if told["Architecture"] != architecture:
                raise ConfigError(f"{name}: it is for {told['Architecture']}; the configuration says {architecture}")
            return LocalImage(tool, name, digest[:16])
    raise ConfigError(f"{name}: no such image for {', '.join(there) or 'lack of docker, podman and skopeo'}")


def pushed_image(ecr: Any, repository: str, name: str, architecture: str) -> str:
    """Push an image unless it is in the repository, and return its URI by digest.

    `name` is a local image, or the digest of one that was pushed before. Raises ConfigError.
    """
    (found,) = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
    uri = str(found["repositoryUri"])
    if name.startswith("sha256:"):
        if not _digest(ecr, repository, {"imageDigest": name}):
            raise ConfigError(f"{name}: the repository {repository} has no such image")
        return f"{uri}@{name}"
    image = find_image(name, architecture)
    digest = _digest(ecr, repository, {"imageTag": image.tag})
    if not digest:
        (login,) = ecr.get_authorization_token()["authorizationData"]
        password = base64.b64decode(login["authorizationToken"]).decode().partition(":")[2]
        image.push(f"{uri}:{image.tag}", password)
        digest = _digest(ecr, repository, {"imageTag": image.tag})
    return f"{uri}@{digest}"


def _digest(ecr: Any, repository: str, image: dict[str, str]) -> str:
    """Return the digest of an image in the repository; empty if it is not there."""
    try:
        (found,) = ecr.describe_images(repositoryName=repository, imageIds=[image])["imageDetails"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ImageNotFoundException":
            return ""
        raise
    return str(found["imageDigest"])


def _run(command: list[str], text: str = "") -> None:
    """Run a command. Raises ConfigError with the last line of its output."""
    answer = subprocess.run(command, input=text, capture_output=True, text=True)  # noqa: S603 - our own words
    if answer.returncode:
        last = (answer.stderr.strip() or "no reason given").splitlines()[-1]
        raise ConfigError(f"{' '.join(command[:2])}: {last}")
