"""Options are checked before AWS is asked anything."""

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from benchmarks.costs import HOURS_A_MONTH, Load, read_prices, task_hour
from infra.aws.cloud import named
from infra.aws.options import Options, read_options
from infra.aws.resource import DeployError
from infra.deploy import main, parser

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stack", "Larder"], "--stack Larder: string should match"),
        (["--stack", "a-name-that-is-too-long"], "--stack a-name-that-is-too-long: string should match"),
        (["--max-tasks", "many"], "--max-tasks many: input should be a valid integer"),
        (["--max-tasks", "2", "--min-tasks", "3"], "--max-tasks 2 is less than --min-tasks 3"),
        (["--cidr", "10.0.0.1/8"], "--cidr 10.0.0.1/8: 10.0.0.1/8 has host bits set"),
        (["--image", "larder", "--tag", "1a2b"], "--image or --tag, not both"),
        (["--certificate", "larder.example.org"], "--certificate larder.example.org: string should match"),
        (["--set", "LARDER_COLOUR=red"], "LARDER_COLOUR: LARDER_NAME=VALUE with one of the README's settings"),
        (["--set", "LARDER_API_KEYS=key"], "LARDER_API_KEYS: LARDER_NAME=VALUE"),
        (["--set", "LARDER_PORT=80"], "LARDER_PORT: LARDER_NAME=VALUE"),
        (["--set", "LARDER_PANTRY=sqlite"], "LARDER_PANTRY=sqlite: every task would have its own"),
        (["--set", "LARDER_MAX_BODY=1"], "LARDER_MAX_BODY=1: input should be greater than or equal to 1024"),
        (["--api-keys", "-", "--google-credentials", "-"], "standard input can be one secret only"),
    ],
)
def test_a_wrong_option_is_one_line(arguments, said, capsys):
    """The line names the option, what was found and what is allowed; nothing else happens."""
    assert main(["up", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("larder: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_lists_are_read():
    """Comma-separated ones on the command line, settings by their names."""
    options = read_options({"cidr": "10.0.0.0/8, 192.168.0.0/16", "set": ["LARDER_PANTRY=none", "LARDER_DRAIN=4"]})
    assert options.cidr == ("10.0.0.0/8", "192.168.0.0/16")
    assert options.settings == {"LARDER_PANTRY": "none", "LARDER_DRAIN": "4"}


def test_options_may_stand_in_a_file(tmp_path):
    """One a line; what is said behind it on the command line counts."""
    file = tmp_path / "options"
    file.write_text("--stack=larder-green\n--max-tasks=8\n--set=LARDER_DRAIN=4\n")
    given = vars(parser().parse_args(["up", f"@{file}", "--max-tasks", "9"]))
    assert (given["stack"], given["max_tasks"], given["set"]) == ("larder-green", "9", ["LARDER_DRAIN=4"])


def test_a_setting_from_outside_is_no_matter(monkeypatch):
    """The settings of this machine's own service are not those of the stack."""
    monkeypatch.setenv("LARDER_PORT", "no port")
    assert read_options({"set": ["LARDER_DRAIN=4"]}).settings == {"LARDER_DRAIN": "4"}


@pytest.mark.parametrize(("file", "said"), [("no-such-file", "cannot be read"), ("empty", "no key is in it")])
def test_a_file_without_keys_is_refused(aws, tmp_path, file, said, capsys):
    """Rather than opening the service."""
    (tmp_path / "empty").write_text(" \n")
    assert aws.deploy("up", "--image", "larder", "--api-keys", str(tmp_path / file)) == 2
    assert said in capsys.readouterr().err


def test_credentials_that_are_not_json_are_not_repeated(aws, tmp_path, capsys):
    """The message names the file alone."""
    (tmp_path / "google").write_text("hidden")
    assert aws.deploy("up", "--image", "larder", "--google-credentials", str(tmp_path / "google")) == 2
    said = capsys.readouterr().err
    assert "it is not JSON" in said
    assert "hidden" not in said


def test_an_image_for_other_processors_is_refused(aws, capsys):
    """Before it is pushed."""
    assert aws.deploy("up", "--image", "larder", "--api-keys", "none", "--architecture", "arm64") == 2
    assert "--architecture arm64: the image is for amd64" in capsys.readouterr().err
    assert aws.deploy("up", "--api-keys", "none") == 2
    assert "--image: none runs yet" in capsys.readouterr().err


def test_no_region_is_said(monkeypatch, capsys, tmp_path):
    """With the two ways to name one."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    assert main(["status"]) == 2
    assert capsys.readouterr().err == "larder: no region: give --region, or set AWS_REGION\n"


def test_a_call_that_is_not_allowed_is_one_line():
    """It says which resource and which call, what AWS said, and where the policy is."""
    answer = {"Error": {"Code": "AccessDenied", "Message": "You may not\n  do that."}}
    with pytest.raises(DeployError) as raised, named("repository larder"):
        raise ClientError(answer, "CreateRepository")
    said = "You may not do that. (AccessDenied); infra/iam has the policy that allows it"
    assert str(raised.value) == f"repository larder: CreateRepository: {said}"


def test_every_option_is_in_the_documentation():
    """Names, defaults and descriptions there are those of the code."""
    page = (ROOT / "docs/deploy.md").read_text()
    for name, field in Options.model_fields.items():
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        shown = f"`{default}`" if default != "" else "empty"
        assert f"| `--{name.replace('_', '-')}` | {shown} | {field.description} |" in page


def test_the_costs_are_those_of_the_price_list():
    """A task of 2 vCPU and 4 GB, the balancer, and both, for a month's hours."""
    page, prices = (ROOT / "docs/deploy.md").read_text(), read_prices()
    both = [HOURS_A_MONTH * task_hour(prices, Load(0, 0, kind), 4096) for kind in ("amd64", "arm64")]
    balancer = HOURS_A_MONTH * prices["balancer_hour"]
    assert f"| each task | {both[0] - balancer:.2f} | {both[1] - balancer:.2f} |" in page
    assert f"| the load balancer | {balancer:.2f} | {balancer:.2f} |" in page
    assert f"| one task and the balancer | {both[0]:.2f} | {both[1]:.2f} |" in page
