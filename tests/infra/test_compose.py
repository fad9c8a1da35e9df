"""docker-compose.yml refers to existing files, settings, arguments and ports, and configures them correctly."""

import json
import os
import re
import subprocess
from pathlib import Path

import httpx2
import pytest
import yaml

from app.settings import Settings
from harness.emulator import free_port
from tests.client.misbehaving import OK, Misbehaving
from tests.conftest import wait_until
from tests.reverse_proxy import PATIENCE, directives, filled, listens

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
BUILT = {name: service["build"] for name, service in SERVICES.items() if "build" in service}


def default(value: str) -> str:
    """Return a value with all variables unset."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def dockerfile(build: dict) -> str:
    return build.get("dockerfile_inline") or (ROOT / build.get("dockerfile", "Dockerfile")).read_text()


def test_three_services_and_three_profiles():
    """Service, page and proxy always run, the others only with their profiles."""
    always = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert always == {"api", "ui", "nginx"}
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
    assert profiles == {"firestore", "milvus", "monitoring"}


def test_one_port_is_open():
    """Only the proxy has a port, and Grafana on loopback; neither service nor page has one."""
    ports = {name: [default(port) for port in each["ports"]] for name, each in SERVICES.items() if "ports" in each}
    assert ports == {"nginx": ["127.0.0.1:8080:8080"], "grafana": ["127.0.0.1:3000:3000"]}


def test_images_have_a_version():
    """No image has the tag latest, except the emulator's, whose versions are withdrawn."""
    images = {name: service["image"] for name, service in SERVICES.items() if "image" in service}
    inline = {name: build["dockerfile_inline"] for name, build in BUILT.items() if "dockerfile_inline" in build}
    images |= {name: re.match(r"FROM (\S+)\n", text)[1] for name, text in inline.items()}
    assert len(images) == 5
    for name in images.keys() - {"firestore"}:
        assert re.fullmatch(r"docker\.io/[\w/]+:v?\d+\.\d+[\w.-]*", images[name])


def test_what_is_mounted_is_there():
    """Volumes are declared; no file of the checkout is mounted, for it may be its owner's alone to read."""
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"], volume


def test_what_is_copied_is_there_and_can_be_read_by_all():
    """Every file that an inline Dockerfile copies exists in its context, and is copied readable."""
    for build in BUILT.values():
        for mode, sources in re.findall(r"^COPY (\S+) (.+) \S+$", build.get("dockerfile_inline", ""), re.MULTILINE):
            assert mode == "--chmod=755"
            assert all((ROOT / build["context"] / source).exists() for source in sources.split())


@pytest.mark.parametrize("name", ["Dockerfile", "infra/ui/Dockerfile", "infra/lambda/Dockerfile"])
def test_images_are_readable_whatever_the_umask(name):
    """Every folder of code and data that is copied from a checkout gets its rights in the image."""
    text = (ROOT / name).read_text()
    copied = " ".join(re.findall(r"^COPY ([^-].*) \S+$", text, re.MULTILINE)).split()
    made = {word for words in re.findall(r"chmod -R a\+rX ([^&\n]+)", text) for word in words.replace('"', "").split()}
    last = text.rpartition("\nFROM ")[2]
    for source in copied:
        folder = source.partition("/")[0]
        if f"COPY {source}" in last and not source.startswith(("requirements", "$", "infra/lambda/requirements")):
            assert folder in made or source in made, source


def started(nginx: str, run: Path, **variables: str) -> subprocess.Popen[str]:
    """The proxy as its container starts it, with a local nginx."""
    given = {name: default(str(value)) for name, value in SERVICES["nginx"]["environment"].items()}
    path = f"{Path(nginx).parent}:{os.environ['PATH']}"
    own = {"RUN": str(run), "PATH": path, "DIRECTIVES": directives().removeprefix("daemon off;")}
    command = ["sh", str(ROOT / "infra/nginx/start.sh")]
    return subprocess.Popen(command, env=given | own | variables, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("password", ["", "none", "correct horse"])
def test_the_page_wants_its_password(nginx, tmp_path, password):
    """With LARDER_PASSWORD only the page requires user and password, not the service; `none` opens it."""
    port = free_port()
    with Misbehaving(OK) as api, Misbehaving(OK) as ui:
        upstreams = {"API": api.url.removeprefix("http://"), "UI": ui.url.removeprefix("http://")}
        address = {"LISTEN": f"127.0.0.1:{port}", "ADDRESS": "0.0.0.0" if password else "127.0.0.1"}
        process = started(nginx, tmp_path, PASSWORD=password, **upstreams, **address)
        try:
            wait_until(lambda: listens(port) or process.poll() is not None, PATIENCE)
            proxy = f"http://127.0.0.1:{port}"
            open_to_all = password != "correct horse"
            assert httpx2.get(proxy).status_code == (200 if open_to_all else 401)
            assert httpx2.get(proxy, auth=("larder", "wrong")).status_code == (200 if open_to_all else 401)
            page = httpx2.get(proxy, auth=("larder", password))
            assert page.status_code == 200
            assert page.headers["content-security-policy"] == "frame-ancestors 'none'"
            assert page.headers["x-content-type-options"] == "nosniff"
            assert httpx2.get(f"{proxy}/api/livez").status_code == 200
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ADDRESS": "0.0.0.0"}, "ADDRESS=0.0.0.0 opens the page to the network: set LARDER_PASSWORD"),
        ({"ADDRESS": "192.168.1.7"}, "ADDRESS=192.168.1.7 opens the page"),
        ({"ADDRESS": "[::]"}, "opens the page to the network"),
        ({"PASSWORD": "a:b"}, "LARDER_PASSWORD has a colon in it"),
    ],
)
def test_the_door_is_not_open_by_mistake(nginx, tmp_path, variables, said):
    """On other than loopback addresses the page starts only with a password, or with `none`."""
    process = started(nginx, tmp_path, **variables)
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert said in error


def test_the_services_settings_are_settings():
    """Every LARDER_ variable of the service is one that it knows, with a value that it takes."""
    given = {name: default(value) for name, value in SERVICES["api"]["environment"].items() if value is not None}
    settings = {name.removeprefix("LARDER_").lower(): value for name, value in given.items()}
    assert settings.keys() <= Settings.model_fields.keys()
    Settings(**{name: value for name, value in settings.items() if value})
    assert settings["max_body"] == default(SERVICES["nginx"]["environment"]["MAX_BODY"])


def test_the_page_reads_its_variables():
    """The page gets the service's address by variables that it reads."""
    read = (ROOT / "app/ui/connection.py").read_text()
    for name in SERVICES["ui"]["environment"].keys() - {"NO_PROXY", "no_proxy"}:  # the client's library reads those
        assert f'"{name}"' in read


def test_build_arguments_are_asked_for():
    """Each given argument exists in the Dockerfile."""
    for build in BUILT.values():
        for name in build.get("args", {}):
            assert re.search(rf"^ARG {name}\b", dockerfile(build), re.MULTILINE), name


def test_the_page_is_made_of_what_is_there():
    """Every path that its Dockerfile copies exists, and is let through by its list of what is ignored."""
    ignored = (ROOT / "infra/ui/Dockerfile.dockerignore").read_text().splitlines()
    let_through = [line[1:] for line in ignored if line.startswith("!")]
    for source in re.findall(r"^COPY (\S+) ", dockerfile(BUILT["ui"]), re.MULTILINE):
        assert (ROOT / source).exists(), source
        assert source in let_through, source


def test_the_door_leads_to_their_ports():
    """Upstreams are the services by name, at the ports that they listen on."""
    proxy = SERVICES["nginx"]["environment"]
    assert (proxy["API"], proxy["UI"]) == ("api:80", "ui:8501")
    assert "EXPOSE 8501" in dockerfile(BUILT["ui"])
    assert SERVICES["ui"]["environment"]["LARDER_URL"] == "http://api:80"


def test_nginx_takes_the_configuration(nginx, tmp_path):
    """The template with the variables of docker-compose.yml passes `nginx -t`, and start.sh fills in all of them."""
    names = re.search(r"envsubst '([^']+)'", (ROOT / "infra/nginx/start.sh").read_text())[1].replace("$", "").split()
    given = SERVICES["nginx"]["environment"] | {"RESOLVER": "127.0.0.11", "RUN": tmp_path, "PAGE_AUTH": "off"}
    text = filled(**{name: default(str(given[name])) for name in names})
    assert "${" not in text
    (tmp_path / "nginx.conf").write_text(text)
    test = [nginx, "-t", "-q", "-e", "stderr", "-c", str(tmp_path / "nginx.conf"), "-g", directives()]
    done = subprocess.run(test, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_prometheus_takes_the_configuration(promtool):
    """`promtool check config` finds nothing wrong, and what is scraped is the service."""
    path = ROOT / "infra/prometheus/prometheus.yml"
    subprocess.run([promtool, "check", "config", str(path)], check=True, capture_output=True)
    (job,) = yaml.safe_load(path.read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["api:80"]}]


def test_grafana_finds_dashboard_and_numbers():
    """The data source is Prometheus by its service name, and dashboards are loaded from the mounted path."""
    copied = dict(re.findall(r"COPY --chmod=755 (\S+) (\S+)", dockerfile(BUILT["grafana"])))
    assert copied["grafana"] == "/etc/grafana/provisioning"
    (source,) = yaml.safe_load((ROOT / "infra/grafana/datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((ROOT / "infra/grafana/dashboards/larder.yml").read_text())["providers"]
    assert provider["options"]["path"] == copied["dashboards"]
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert json.loads((ROOT / "infra/dashboards" / home.name).read_text())["title"] == "Larder"
