"""An image is pushed to a registry with a password: by podman and by skopeo; docker gets the right arguments."""

import base64
import hashlib
import json
import os
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from infra.aws.config import ConfigError
from infra.aws.push import find_image
from tests.conftest import wait_until

PASSWORD = "hidden-word"
HASHED = "AWS:$2b$04$3iMYZC5wtHmtDmyFWzeRgufRWrPNbcHA/W3ifDxE6GFRW9jQJUZXO\n"  # of that word
REGISTRY = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}
http: {{addr: "127.0.0.1:{port}", tls: {{certificate: {folder}/certificate.pem, key: {folder}/key.pem}}}}
auth: {{htpasswd: {{realm: larder, path: {folder}/users}}}}
"""
STORAGE = '[storage]\ndriver = "vfs"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("push")


@pytest.fixture(scope="module")
def registry(folder, needed):
    """A registry on a free port of this machine, as HOST:PORT."""
    needed("docker-registry", "skopeo", "openssl")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "users").write_text(HASHED)
    (folder / "registry.yml").write_text(REGISTRY.format(folder=folder, port=port))
    certify(folder)
    (folder / "storage.conf").write_text(STORAGE.format(folder=folder))
    with (folder / "registry.log").open("w") as log, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(folder / "certificate.pem"))
        patch.setenv("CONTAINERS_STORAGE_CONF", str(folder / "storage.conf"))
        process = subprocess.Popen(["docker-registry", "serve", str(folder / "registry.yml")], stdout=log, stderr=log)
        wait_until(lambda: listening(port) or process.poll() is not None)
        assert process.poll() is None, (folder / "registry.log").read_text()
        patch.setenv("REGISTRY_AUTH_FILE", str(folder / "auth.json"))  # the registry itself would take it for its own
        yield f"127.0.0.1:{port}"
        process.terminate()
        process.wait()


def certify(folder):
    """Create a self-signed certificate for the loopback address."""
    names = ["-subj", "/CN=larder", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "certificate.pem"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names, *files], check=True)


def listening(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def image(folder):
    """An empty image as an OCI folder; its name for skopeo and its configuration's digest."""
    blobs = folder / "image/blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(value):
        data = json.dumps(value).encode()
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    config = blob({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}})
    kind = "application/vnd.oci.image"
    manifest = {"schemaVersion": 2, "config": {"mediaType": f"{kind}.config.v1+json", **config}, "layers": []}
    index = [{"mediaType": f"{kind}.manifest.v1+json", **blob(manifest)}]
    (folder / "image/index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": index}))
    (folder / "image/oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return f"oci:{folder}/image", config["digest"]


def configuration(registry, tag):
    """The digest of the configuration of an image in the registry."""
    login = base64.b64encode(f"AWS:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Accept": "application/vnd.oci.image.manifest.v1+json"}
    request = urllib.request.Request(f"https://{registry}/v2/larder/manifests/{tag}", headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["config"]["digest"]


def test_skopeo_pushes(registry, image):
    """It pushes from an OCI folder, under a tag derived from its content."""
    name, digest = image
    found = find_image(name, "amd64")
    assert (found.tool, len(found.tag)) == ("skopeo", 16)
    found.push(f"{registry}/larder:{found.tag}", PASSWORD)
    assert configuration(registry, found.tag) == digest


def test_podman_pushes(registry, image, needed):
    """It pushes from podman's own store, which buildah shares."""
    needed("podman")
    name, digest = image
    subprocess.run(["skopeo", "copy", "--quiet", name, "containers-storage:localhost/larder-empty:1"], check=True)
    found = find_image("larder-empty:1", "amd64")
    assert found.tool == "podman"
    assert digest[7:].startswith(found.tag)
    found.push(f"{registry}/larder:{found.tag}", PASSWORD)
    assert configuration(registry, found.tag) == digest


def test_a_wrong_password_is_one_line(registry, image):
    """The line has no password in it, and nothing was pushed."""
    with pytest.raises(ConfigError) as raised:
        find_image(image[0], "amd64").push(f"{registry}/larder:wrong", "another-word")
    assert str(raised.value).startswith("skopeo login: ")
    assert "another-word" not in str(raised.value)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        configuration(registry, "wrong")


def test_docker_is_told_the_same(tmp_path, monkeypatch):
    """A script replaces docker: no command line contains the password."""
    script = tmp_path / "docker"
    script.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {tmp_path}/words\n'
        f"""[ "$1" = image ] && echo '[{{"Id": "sha256:0123456789abcdef0123", "Architecture": "arm64"}}]'\n"""
        f'[ "$1" != login ] || cat > {tmp_path}/password\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = find_image("larder", "arm64")
    assert (found.tool, found.tag) == ("docker", "0123456789abcdef")
    found.push("registry.example/larder:1", PASSWORD)
    assert (tmp_path / "words").read_text().splitlines() == [
        "image inspect larder",
        "login --username AWS --password-stdin registry.example",
        "tag larder registry.example/larder:1",
        "push registry.example/larder:1",
    ]
    assert (tmp_path / "password").read_text() == PASSWORD
    with pytest.raises(ConfigError, match="larder: it is for arm64; the configuration says amd64"):
        find_image("larder", "amd64")


def test_an_image_that_nobody_has_is_said(monkeypatch, tmp_path):
    """The message names the tools that were tried."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="larder: no such image for lack of docker, podman and skopeo"):
        find_image("larder", "amd64")
