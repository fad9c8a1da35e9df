"""A local S3 for tests: moto's server, on a free port of 127.0.0.1."""

import logging
from collections.abc import Callable
from pathlib import Path


class Bucket:
    """An empty bucket; `setenv` receives the variables by which AWS's tools find it."""

    name = "pictures"

    def __init__(self, setenv: Callable[[str, str], None]) -> None:
        self._setenv = setenv
        self._port = 0

    def start(self) -> None:
        """Start answering, also after a `stop`; stored objects are still there."""
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").disabled = True
        self._server = ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
        self._server.start()
        _, self._port = self._server.get_host_and_port()

    def stop(self) -> None:
        """Stop answering."""
        self._server.stop()

    def __enter__(self) -> "Bucket":
        import boto3

        self.start()
        self._setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{self._port}")
        for name, value in {
            "ACCESS_KEY_ID": "test",
            "SECRET_ACCESS_KEY": "test",
            "DEFAULT_REGION": "us-east-1",
        }.items():
            self._setenv(f"AWS_{name}", value)
        self._client = boto3.client("s3")
        self._client.create_bucket(Bucket=self.name)
        return self

    def __exit__(self, *_: object) -> None:
        from moto.s3.models import s3_backends

        self.stop()
        s3_backends.reset()

    def put(self, name: str, data: bytes) -> str:
        """Store an object; returns its URL."""
        self._client.put_object(Bucket=self.name, Key=name, Body=data)
        return f"s3://{self.name}/{name}"

    def put_folder(self, prefix: str, folder: Path) -> str:
        """Store the files of a folder; returns the prefix's URL."""
        for path in folder.iterdir():
            self.put(f"{prefix}/{path.name}", path.read_bytes())
        return f"s3://{self.name}/{prefix}"

    def delete(self, name: str) -> None:
        self._client.delete_object(Bucket=self.name, Key=name)
