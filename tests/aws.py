"""An AWS on this machine, for tests: moto's server, on a free port of 127.0.0.1."""

import json
import logging
import re
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import EndpointConnectionError

from infra.aws.cloud import Cloud
from infra.aws.deployment import Patience
from infra.deploy import Around, main
from tests.aws_inventory import inventory

TOKEN = r'"ClientRequestToken": "[^"]*"'  # boto3 draws another one for each call
READS = ("Describe", "List", "Get")


class LocalImage:
    """An image that is at hand; a push of it tells moto's ECR what a registry would tell AWS's."""

    architecture = "amd64"

    def __init__(self, aws: "Aws", tag: str) -> None:
        self._aws = aws
        self.tag = tag

    def push(self, target: str, user: str, password: str) -> None:
        assert (user, bool(password)) == ("AWS", True)
        repository, _, tag = target.partition("/")[2].partition(":")
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"digest": f"sha256:{tag:0>64}", "size": 1},
            "layers": [],
        }
        self._aws.cloud("ecr").put_image(repositoryName=repository, imageTag=tag, imageManifest=json.dumps(manifest))


class Aws:
    """An account with nothing in it, whose calls are written down, and may fail."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").disabled = True
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.get_host_and_port()[1]}"
        self.calls: list[str] = []
        self._failing = False
        self._failed: set[str] = set()

    def environment(self) -> dict[str, str]:
        """The variables by which AWS's tools find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "MOTO_ECS_SERVICE_RUNNING": "1",  # moto starts no tasks; it can say that so many run
        }

    def connect(self) -> None:
        """Make the clients, once: that takes longer than all their calls."""
        session = boto3.Session()
        session.events.register("before-call", self._before)
        self.cloud = Cloud(session)

    def stop(self) -> None:
        self._server.stop()

    def reset(self) -> None:
        """Forget everything."""
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")).close()
        self.calls.clear()
        self.fail(False)

    def fail(self, failing: bool = True) -> None:
        """From now on, have each call that would change something not reach AWS the first time that it is made."""
        self._failing = failing
        self._failed.clear()

    def changes(self) -> list[str]:
        """The calls that change something, `service:Operation`."""
        return [call for call in self.calls if not call.partition(":")[2].startswith(READS)]

    def inventory(self) -> dict[str, list[str]]:
        """All that is in the account, by kind."""
        return inventory(self.cloud)

    def deploy(self, *arguments: str, image: str = "1a2b", meanwhile: Callable[[], object] = lambda: None) -> int:
        """`python -m infra.deploy` with these arguments; waiting takes no time, but something may happen meanwhile."""
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds
            meanwhile()

        around = Around(
            open_cloud=lambda region, profile: self.cloud,
            find_image=lambda name: LocalImage(self, image),
            patience=lambda limit: Patience(limit=limit, clock=lambda: now[0], sleep=sleep),
        )
        return main(arguments, around)

    def _before(self, model: Any, params: dict[str, Any], **_: object) -> None:
        self.calls.append(f"{model.service_model.service_name}:{model.name}")
        call = re.sub(TOKEN, "", f"{model.name} {params['url_path']} {params['body']}")
        if self._failing and not model.name.startswith(READS) and call not in self._failed:
            self._failed.add(call)
            raise EndpointConnectionError(endpoint_url=self.url)
