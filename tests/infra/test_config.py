"""The configuration is checked before AWS is asked anything; docs/deploy.md has the same tables."""

import pytest

from benchmarks.costs import HOURS_A_MONTH, Load, read_prices, task_hour
from infra.aws.config import Config, ConfigError, FunctionConfig, Part, ServiceConfig, parse_config, read_config
from tests.infra.conftest import ROOT

SERVICE = {"cidr": ["10.0.0.0/8"]}
SUBNETS = ["subnet-00000001", "subnet-00000002"]


def service(**values):
    return {"service": SERVICE | values}


def setting(name, value):
    return service(settings={name: value})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "a table [service] or [function] is expected"),
        ({"name": "Larder", "function": {}}, "name = Larder: string should match"),
        ({"name": "a-name-that-is-too-long", "function": {}}, "name = a-name-that-is-too-long: string should match"),
        ({"api_keys": "", "function": {}}, "api_keys: input should be 'generate' or 'none'"),
        ({"colour": "red", "function": {}}, "colour = red: extra inputs are not permitted"),
        ({"service": {}}, "service.cidr: field required"),
        (service(cidr=[]), "service.cidr: tuple should have at least 1 item"),
        (service(cidr=["10.0.0.1/8"]), "service.cidr.0 = 10.0.0.1/8: "),
        (service(cidr=["::/0"]), "service.cidr.0 = ::/0: "),
        (service(max_tasks="many"), "service.max_tasks = many: input should be a valid integer"),
        (service(max_tasks=2, min_tasks=3), "service: max_tasks 2 is less than min_tasks 3"),
        (service(certificate="larder.example.org"), "service.certificate = larder.example.org: string should match"),
        (service(notify="alarms"), "service.notify = alarms: string should match"),
        (service(google_credentials="larder/google"), "service.google_credentials = larder/google: string should"),
        (service(vpc="vpc-1"), "service.vpc = vpc-1: string should match"),
        (service(vpc="vpc-00000001"), "service: vpc and subnets go together"),
        (service(subnets=SUBNETS), "service: vpc and subnets go together"),
        (service(task_subnets=SUBNETS), "service: vpc and subnets go together"),
        (service(vpc="vpc-00000001", subnets=SUBNETS[:1] * 2), "service: subnets: a load balancer needs two"),
        (service(vpc="vpc-00000001", subnets=["a", "b"]), "service.subnets.0 = a: string should match"),
        (setting("LARDER_COLOUR", "red"), "LARDER_COLOUR: a setting of docs/settings.md is expected"),
        (setting("COLOUR", "red"), "COLOUR: a setting of docs/settings.md is expected"),
        (setting("LARDER_API_KEYS", "key"), "LARDER_API_KEYS: a setting of docs/settings.md is expected"),
        (setting("LARDER_PORT", "80"), "LARDER_PORT: a setting of docs/settings.md is expected"),
        (setting("LARDER_MODEL", "s3://*"), "LARDER_MODEL=s3://*: s3://BUCKET/KEY without *"),
        (setting("LARDER_MODEL", "s3://b/*"), "LARDER_MODEL=s3://b/*: s3://BUCKET/KEY without *"),
        (setting("LARDER_LABELS", "s3://b/label?.txt"), "s3://BUCKET/KEY without *"),
        (setting("LARDER_LABELS", "s3://b/${aws:userid}"), "s3://BUCKET/KEY without *"),
        (setting("LARDER_LABELS", "s3:///labels.txt"), "s3://BUCKET/KEY without *"),
        (setting("LARDER_PANTRY", "sqlite"), "LARDER_PANTRY=sqlite: every task would have its own"),
        (setting("LARDER_MAX_BODY", "1"), "LARDER_MAX_BODY=1: input should be greater than or equal to 1024"),
        ({"function": {"memory": 4}}, "function.memory = 4: input should be greater than or equal to 512"),
        ({"function": {"timeout": 60}}, "function.timeout = 60: input should be less than or equal to 29"),
        ({"function": {"architecture": "riscv"}}, "function.architecture = riscv: input should be 'amd64' or 'arm64'"),
        ({"function": {"bundle": "huge"}}, "function.bundle = huge: one of "),
        ({"function": {"settings": {"LARDER_PANTRY": "sqlite"}}}, "function.settings: LARDER_PANTRY=sqlite"),
    ],
)
def test_a_wrong_value_is_one_line(given, said):
    """The line names the value, what was found and what is allowed."""
    with pytest.raises(ConfigError) as raised:
        parse_config(given)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_nobody_opens_the_service_by_mistake():
    """The allowed callers are required, and keys are on by default."""
    config = parse_config({"service": {"cidr": ["0.0.0.0/0"]}})
    assert config.api_keys == "generate"
    assert [str(each) for each in config.service.cidr] == ["0.0.0.0/0"]


def test_a_file_is_read(tmp_path, monkeypatch):
    """It is read with or without a byte order mark; the environment's settings have no effect."""
    monkeypatch.setenv("LARDER_PORT", "no port")
    file = tmp_path / "larder.toml"
    text = 'name = "green"\n[service]\ncidr = ["10.0.0.0/8"]\nsettings = {LARDER_DRAIN = "4"}\n'
    for mark in ("", "\ufeff"):
        file.write_text(mark + text, encoding="utf-8")
        assert read_config(file).service.settings == {"LARDER_DRAIN": "4"}


@pytest.mark.parametrize("text", [None, "name = larder", "name = 1\n[function]", b"\xff"])
def test_a_file_that_cannot_be_used_is_named(tmp_path, text):
    """A missing file, invalid TOML, a wrong value and binary data are reported with the file."""
    file = tmp_path / "larder.toml"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as raised:
        read_config(file)
    assert str(raised.value).startswith(f"{file}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("part", [Config, ServiceConfig, FunctionConfig])
def test_every_value_is_in_the_documentation(part):
    """Names, defaults and descriptions there are those of the code."""
    page = (ROOT / "docs/deploy.md").read_text()
    for name, field in part.model_fields.items():
        if part is not Config and name in Part.model_fields:
            name = "settings"
        default = "" if field.is_required() or field.default in ("", (), {}, None) else f"`{field.default}`"
        assert f"| `{name}` | {default or 'empty'} | {field.description} |" in page


def test_the_costs_are_those_of_the_price_list():
    """A task of 2 vCPU and 4 GB, the balancer, and both, for a month's hours."""
    page, prices = (ROOT / "docs/deploy.md").read_text(), read_prices()
    both = [HOURS_A_MONTH * task_hour(prices, Load(0, 0, kind), 4096) for kind in ("amd64", "arm64")]
    balancer = HOURS_A_MONTH * prices["balancer_hour"]
    assert f"| each task | {both[0] - balancer:.2f} | {both[1] - balancer:.2f} |" in page
    assert f"| the load balancer | {balancer:.2f} | {balancer:.2f} |" in page
    assert f"| one task and the balancer | {both[0]:.2f} | {both[1]:.2f} |" in page
