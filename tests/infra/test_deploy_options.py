"""Options are checked before AWS is asked anything."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from benchmarks.costs import HOURS_A_MONTH, Load, read_prices, task_hour
from infra.aws.cloud import named
from infra.aws.options import Options, read_options
from infra.aws.request import _keys
from infra.aws.resource import DeployError
from infra.aws.stack import _to_run
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
        (["--cidr", "::/0"], "--cidr ::/0: "),
        (["--cidr", "2000::/3"], "--cidr 2000::/3: "),
        (["--image", "larder", "--tag", "1a2b"], "--image or --tag, not both"),
        (["--certificate", "larder.example.org"], "--certificate larder.example.org: string should match"),
        (["--set", "LARDER_COLOUR=red"], "LARDER_COLOUR: LARDER_NAME=VALUE with one of the README's settings"),
        (["--set", "LARDER_API_KEYS=key"], "LARDER_API_KEYS: LARDER_NAME=VALUE"),
        (["--set", "LARDER_PORT=80"], "LARDER_PORT: LARDER_NAME=VALUE"),
        (["--set", "LARDER_DRAIN"], "LARDER_DRAIN: no value is given; LARDER_DRAIN=VALUE is the form"),
        (["--set", "LARDER_MODEL=s3://*"], "LARDER_MODEL=s3://*: s3://BUCKET/KEY without *"),
        (["--set", "LARDER_MODEL=s3://b/*"], "LARDER_MODEL=s3://b/*: s3://BUCKET/KEY without *"),
        (["--set", "LARDER_LABELS=s3://b/label?.txt"], "LARDER_LABELS=s3://b/label?.txt: s3://BUCKET/KEY without *"),
        (["--set", "LARDER_LABELS=s3://b/${aws:userid}"], "s3://BUCKET/KEY without *"),
        (["--set", "LARDER_LABELS=s3:///labels.txt"], "s3://BUCKET/KEY without *"),
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


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# ours\none", 1),
        ("one\n'two'\n", 2),
        ('"one"', 1),
        ("one\nzwei # robot", 2),
        ("one\nschlüssel", 2),
        ("\x07", 1),
    ],
)
def test_what_is_no_key_is_refused_with_its_line(aws, tmp_path, text, line, capsys):
    """Comments, quotes and letters other than ASCII would be keys that nobody means; none is repeated."""
    file = tmp_path / "keys"
    file.write_text(text, encoding="utf-8")
    assert aws.deploy("up", "--image", "larder", "--api-keys", str(file)) == 2
    said = capsys.readouterr().err
    assert f"--api-keys {file}: line {line}: keys alone" in said
    assert not any(word in said for word in ("schlüssel", "zwei", "two"))


@pytest.mark.parametrize("text", ["\ufeffone,two\r\n\r\nthree\r\n", "one two\nthree", " one,\ttwo ,,three"])
def test_keys_are_read(tmp_path, text):
    """Commas, white space and line breaks separate keys; a byte order mark is part of none."""
    file = tmp_path / "keys"
    file.write_bytes(text.encode())
    assert _keys(str(file)) == ["one", "two", "three"]


@pytest.mark.parametrize(
    "cidr",
    [
        "0.0.0.0/0",
        "0.0.0.0/1,128.0.0.0/1",
        "64.0.0.0/2",
        "8.0.0.0/7",
        "16.0.0.0/9,16.128.0.0/9",
        "10.0.0.0/8,1.0.0.0/8",
    ],
)
def test_much_of_the_internet_needs_keys(aws, cidr, capsys):
    """As many public addresses as a /8 has, in one network or several, count as everywhere."""
    assert aws.deploy("up", "--image", "larder", "--cidr", cidr) == 2
    assert f"--api-keys: there are none, and {cidr} may call" in capsys.readouterr().err


@pytest.mark.parametrize(
    "cidr", ["10.0.0.0/8", "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16", "203.0.114.0/24", "16.0.0.0/9"]
)
def test_some_addresses_need_none(aws, cidr):
    """Private networks, and fewer public addresses, may be let in without keys."""
    assert aws.deploy("plan", "--image", "larder", "--cidr", cidr) == 0


def statements(**settings):
    """What the task's role may do with these settings: (action, resource, prefix)."""
    cloud = SimpleNamespace(partition="aws")
    found = _to_run(cloud, {f"LARDER_{name.upper()}": value for name, value in settings.items()})
    return [(each["Action"][0], each["Resource"][0], each.get("Condition")) for each in found]


@pytest.mark.parametrize(
    ("name", "value", "bucket", "key"),
    [
        ("model", "s3://pictures", "pictures", "*"),
        ("model", "s3://pictures/", "pictures", "*"),
        ("model", "s3://pictures/models/vit", "pictures", "models/vit/*"),
        ("model", "s3://pictures/models/vit/", "pictures", "models/vit/*"),
        ("labels", "s3://pictures/labels.txt", "pictures", "labels.txt"),
        ("labels", "s3://pictures/a b/labels#1.txt", "pictures", "a b/labels#1.txt"),
    ],
)
def test_the_role_reads_what_the_settings_name_and_nothing_beside_it(name, value, bucket, key):
    """A model is all below its prefix, a label file one object; no other bucket or prefix begins so."""
    condition = {"StringLike": {"s3:prefix": key}}
    assert statements(**{name: value}) == [
        ("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}", None),
        ("s3:ListBucket", f"arn:aws:s3:::{bucket}", condition),
    ]


def test_other_settings_give_no_rights():
    """A setting that names nothing in S3 adds nothing to the role."""
    assert statements(pantry="none", labels="labels/pantry.txt") == []


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
