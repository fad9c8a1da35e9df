"""Settings come from the environment, and a wrong one stops the start with one line."""

import re
from pathlib import Path

import pytest

from app.__main__ import main
from app.errors import SettingsError
from app.settings import Settings, _cgroup_quota, available_processors, read_settings


def test_every_setting_has_its_default():
    """An empty environment gives the settings of section 7."""
    settings = read_settings()
    assert (settings.model, settings.engine, settings.pantry) == ("larder-small", "auto", "sqlite")
    assert (settings.host, settings.port, settings.api_keys) == ("127.0.0.1", 8000, ())
    assert (settings.labels, settings.data) == (Path("labels/pantry.txt"), Path("data"))
    assert (settings.max_body, settings.max_pixels, settings.max_label_length) == (10 * 1024 * 1024, 50_000_000, 200)
    assert settings.formats == ("JPEG", "PNG", "WEBP", "GIF", "BMP", "HEIC", "AVIF")
    assert settings.threads == available_processors()


def test_the_environment_is_read(monkeypatch):
    """A LARDER_ variable sets its setting; lists are comma-separated; an empty one counts as unset."""
    monkeypatch.setenv("LARDER_API_KEYS", "one, two,")
    monkeypatch.setenv("LARDER_FORMATS", "jpeg,png")
    monkeypatch.setenv("LARDER_PORT", "")
    settings = read_settings()
    assert [key.get_secret_value() for key in settings.api_keys] == ["one", "two"]
    assert settings.formats == ("JPEG", "PNG")
    assert settings.port == 8000


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("LARDER_PORT", "70000", "less than or equal to 65535"),
        ("LARDER_PORT", "http", "integer"),
        ("LARDER_THREADS", "0", "greater than or equal to 1"),
        ("LARDER_ENGINE", "tensorflow", "'auto'"),
        ("LARDER_PANTRY", "postgres", "`sqlite` (in the data folder), `firestore://PROJECT/COLLECTION` or `none` is"),
        ("LARDER_PANTRY", "firestore://project", "firestore"),
        ("LARDER_PANTRY", "firestore://project/a/b", "firestore"),
        ("LARDER_PANTRY", "firestore://project/__kept__", "firestore"),
        ("LARDER_PANTRY_STRICT", "perhaps", "boolean"),
        ("LARDER_CONTENTS", "milvus://host/name", "`milvus://HOST:PORT/COLLECTION` or `none` is allowed"),
        ("LARDER_FORMATS", "TIFF", "was found; one or more of JPEG, PNG, WEBP, GIF, BMP, HEIC, AVIF"),
        ("LARDER_DRAIN", "-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_one_line(monkeypatch, name, value, allowed):
    """The line names the setting, the value found and what is allowed."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        read_settings()
    message = str(raised.value)
    assert "\n" not in message
    assert name in message
    assert value in message
    assert allowed in message


@pytest.mark.parametrize("value", [",", " ", " , ,"])
def test_keys_that_are_none_do_not_open_the_service(monkeypatch, value):
    """A list of keys without any key is an error, not a service without keys."""
    monkeypatch.setenv("LARDER_API_KEYS", value)
    with pytest.raises(SettingsError, match="LARDER_API_KEYS: that value was found; one or more comma-separated"):
        read_settings()


@pytest.mark.parametrize("value", ["secret", '["secret"]', '{"secret'])
def test_wrong_credentials_do_not_show(monkeypatch, value):
    """Anything but a JSON object is refused without being repeated."""
    monkeypatch.setenv("LARDER_GOOGLE_CREDENTIALS", value)
    with pytest.raises(SettingsError, match="LARDER_GOOGLE_CREDENTIALS: that value was found") as raised:
        read_settings()
    assert "secret" not in str(raised.value)


def test_settings_are_frozen():
    """A setting cannot be changed once it is read."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1


def test_keys_do_not_show():
    """A key is not printed with the settings."""
    assert "hidden" not in repr(Settings(api_keys="hidden", webhooks="hidden", webhook_secrets="hidden"))


@pytest.mark.parametrize(("content", "quota"), [("max 100000", None), ("150000 100000", 1.5), ("nonsense", None)])
def test_the_cgroup_quota_is_read(tmp_path, content, quota):
    """A container's processor quota is seen, and a file that makes no sense is no quota."""
    (tmp_path / "cpu.max").write_text(content)
    assert _cgroup_quota(tmp_path) == quota


@pytest.mark.parametrize(("quota", "expected"), [("-1", None), ("50000", 0.5)])
def test_the_older_cgroup_quota_is_read(tmp_path, quota, expected):
    """Version 1 of cgroups has it in two files."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert _cgroup_quota(tmp_path) == expected


@pytest.mark.parametrize("link", ["tcp://10.96.14.7:80", "udp://10.96.14.7:53", "tcp://[fd00::7]:80"])
def test_a_service_link_of_kubernetes_is_no_setting(monkeypatch, link):
    """In a namespace with a Service called larder the port is the default or the image's."""
    host, _, port = link.partition("://")[2].rpartition(":")
    links = {"SERVICE_HOST": host, "SERVICE_PORT": port, "PORT": link, f"PORT_{port}_TCP": link}
    links |= {f"PORT_{port}_TCP_PROTO": "tcp", f"PORT_{port}_TCP_PORT": port, f"PORT_{port}_TCP_ADDR": host}
    for name, value in links.items():
        monkeypatch.setenv(f"LARDER_{name}", value)
    assert read_settings().port == 8000
    assert read_settings().host == "127.0.0.1"
    monkeypatch.setenv("LARDER_IMAGE_PORT", "80")
    assert read_settings().port == 80


@pytest.mark.parametrize("value", ["tcp://", "tcp://10.96.14.7", "http://10.96.14.7:80", "8000:80"])
def test_other_addresses_are_no_port(monkeypatch, value):
    """Only a Kubernetes service link is ignored; any other value that is not a number is an error."""
    monkeypatch.setenv("LARDER_PORT", value)
    with pytest.raises(SettingsError, match="LARDER_PORT"):
        read_settings()


@pytest.mark.parametrize(("value", "names"), [("Larder.Example., b", ("larder.example", "b")), ("*", ("*",))])
def test_hosts_are_names(monkeypatch, value, names):
    """Hosts are lower-cased, without a port."""
    monkeypatch.setenv("LARDER_HOSTS", value)
    assert read_settings().hosts == names
    monkeypatch.setenv("LARDER_HOSTS", "http://larder.example:80")
    with pytest.raises(SettingsError, match="LARDER_HOSTS: .* host names such as"):
        read_settings()


@pytest.mark.parametrize("name", ["LARDER_MODLE", "LARDER_HSOTS", "LARDER_MAXBODY", "LARDER_LABEL"])
def test_a_misspelt_setting_is_refused(name, monkeypatch):
    """A typing error in a name stops the start, and the error names the similar setting."""
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError, match=f"{name} is not a setting: LARDER_"):
        read_settings()


@pytest.mark.parametrize(
    "name",
    [
        "LARDER_API_KEY",
        "LARDER_URL",
        "LARDER_SERVICE_HOST",
        "LARDER_SERVICE_PORT",
        "LARDER_PORT_8000_TCP_ADDR",
        "LARDER_IMAGE_PORT",
    ],
)
def test_variables_of_others_are_left_alone(name, monkeypatch):
    """Variables of the client, of the page, and of Kubernetes for a service called larder are ignored."""
    monkeypatch.setenv(name, "x")
    read_settings()


def test_help_of_serve_names_settings_with_their_defaults(capsys):
    """The settings that `serve --help` names are settings, and have the defaults that it says."""
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    named = dict(re.findall(r"LARDER_([A-Z_]+) .*?\(([^)]*)\)", capsys.readouterr().out))
    assert len(named) >= 6
    for name, default in named.items():
        field = Settings.model_fields[name.lower()]
        assert default == str(field.default) or field.default == ()
