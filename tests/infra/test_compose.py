"""docker-compose.yml names what is there: files, settings, arguments, ports; what it configures is right."""

import json
import re
import subprocess
from pathlib import Path

import yaml

from app.settings import Settings
from tests.door import directives, filled

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
BUILT = {name: service["build"] for name, service in SERVICES.items() if "build" in service}


def default(value: str) -> str:
    """A value as it is where no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def dockerfile(build: dict) -> str:
    return (ROOT / build.get("dockerfile", "Dockerfile")).read_text()


def test_three_services_and_three_profiles():
    """Service, page and door are always there, the rest where it is asked for."""
    always = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert always == {"api", "ui", "nginx"}
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
    assert profiles == {"firestore", "milvus", "monitoring"}


def test_one_port_is_open():
    """The door's, and Grafana's to this machine alone; neither service nor page has one of its own."""
    ports = {name: [default(port) for port in each["ports"]] for name, each in SERVICES.items() if "ports" in each}
    assert ports == {"nginx": ["127.0.0.1:8080:8080"], "grafana": ["127.0.0.1:3000:3000"]}


def test_images_have_a_version():
    """No image is whatever is newest; the emulator's is, since its versions are withdrawn."""
    for name, service in SERVICES.items():
        if "image" in service and name != "firestore":
            assert re.fullmatch(r"docker\.io/[\w/]+:v?\d+\.\d+[\w.-]*", service["image"])


def test_what_is_mounted_is_there():
    """Files and folders of the checkout exist, and volumes are declared."""
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"], volume


def test_the_services_settings_are_settings():
    """Every LARDER_ variable of the service is one that it knows, with a value that it takes."""
    given = {name: default(value) for name, value in SERVICES["api"]["environment"].items() if value is not None}
    settings = {name.removeprefix("LARDER_").lower(): value for name, value in given.items()}
    assert settings.keys() <= Settings.model_fields.keys()
    Settings(**{name: value for name, value in settings.items() if value})
    assert settings["max_body"] == default(SERVICES["nginx"]["environment"]["MAX_BODY"])


def test_the_page_reads_its_variables():
    """The page is told where the service is by names that it looks at."""
    read = (ROOT / "app/ui/connection.py").read_text()
    for name in SERVICES["ui"]["environment"]:
        assert f'"{name}"' in read


def test_build_arguments_are_asked_for():
    """Each argument that is given is one that the Dockerfile has."""
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
    door = SERVICES["nginx"]["environment"]
    assert (door["API"], door["UI"]) == ("api:80", "ui:8501")
    assert "EXPOSE 8501" in dockerfile(BUILT["ui"])
    assert SERVICES["ui"]["environment"]["LARDER_URL"] == "http://api:80"


def test_nginx_takes_the_configuration(nginx, tmp_path):
    """The template with the variables of docker-compose.yml passes `nginx -t`."""
    command = SERVICES["nginx"]["command"][-1]
    names = re.search(r"envsubst '([^']+)'", command)[1].replace("$", "").split()
    given = SERVICES["nginx"]["environment"] | {"RESOLVER": "127.0.0.11", "RUN": tmp_path}
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
    """The data source is Prometheus by its name here, dashboards come from where they are mounted."""
    mounted = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert mounted["./infra/grafana"] == "/etc/grafana/provisioning"
    (source,) = yaml.safe_load((ROOT / "infra/grafana/datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((ROOT / "infra/grafana/dashboards/larder.yml").read_text())["providers"]
    assert provider["options"]["path"] == mounted["./infra/dashboards"]
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert json.loads((ROOT / "infra/dashboards" / home.name).read_text())["title"] == "Larder"
