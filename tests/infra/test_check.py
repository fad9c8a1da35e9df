"""The names in a configuration are looked up before anything is created; then the CDK gets the right arguments."""

import io
import json
import sys

import pytest

from infra.aws import __main__ as commands
from infra.aws.check import BOOTSTRAP, check_account, read_keys
from infra.aws.config import ConfigError, parse_config
from tests.infra.cloud import ACCOUNT, REGION, SECOND, Cloud

HERE = f"{REGION}:{ACCOUNT}"


@pytest.fixture(scope="module")
def cloud():
    with pytest.MonkeyPatch.context() as patch:
        cloud = Cloud(patch)
        yield cloud
        cloud.stop()


@pytest.fixture(scope="module")
def there(cloud):
    """The resources that a configuration may name."""
    ec2 = cloud.session.client("ec2")
    first, second, third, *_ = sorted(ec2.describe_subnets()["Subnets"], key=lambda each: each["AvailabilityZone"])
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    other = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    acm = cloud.session.client("acm")
    made = cloud.session.client("secretsmanager").create_secret(Name="larder/google", SecretString="{}")
    return {
        "vpc": first["VpcId"],
        "subnets": [each["SubnetId"] for each in (first, second)],
        "task_subnets": [third["SubnetId"]],
        "elsewhere": other,
        "certificate": acm.request_certificate(DomainName="larder.example.org")["CertificateArn"],
        "google_credentials": made["ARN"],
        "notify": cloud.session.client("sns").create_topic(Name="alarms")["TopicArn"],
    }


def check(cloud, **values):
    check_account(cloud.session, parse_config({"service": {"cidr": ["10.0.0.0/8"]} | values}))


def test_what_is_there_is_taken(cloud, there, monkeypatch):
    """An issued certificate, a secret, a topic, and subnets of one VPC in two zones are accepted."""
    monkeypatch.setattr("moto.settings.ACM_VALIDATION_WAIT", 86400)
    with pytest.raises(ConfigError, match="is PENDING_VALIDATION; ISSUED is expected"):
        check(cloud, certificate=there["certificate"])
    monkeypatch.setattr("moto.settings.ACM_VALIDATION_WAIT", -1)
    check(cloud, **{name: value for name, value in there.items() if name != "elsewhere"})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"certificate": f"arn:aws:acm:{HERE}:certificate/0"}, "certificate/0 is not there"),
        ({"certificate": f"arn:aws:acm:eu-west-1:{ACCOUNT}:certificate/0"}, "is not in us-east-1"),
        ({"google_credentials": f"arn:aws:secretsmanager:{HERE}:secret:none-AbCdEf"}, "none-AbCdEf is not there"),
        ({"notify": f"arn:aws:sns:{HERE}:nobody"}, "nobody is not there"),
        ({"vpc": "vpc-00000001", "subnets": ["subnet-00000001", "subnet-00000002"]}, "not all of them are there"),
    ],
)
def test_what_is_not_there_is_said(cloud, values, said):
    """The line names the configuration's value."""
    with pytest.raises(ConfigError, match=f"^service.*{said}"):
        check(cloud, **values)


def test_the_functions_secret_is_looked_up_too(cloud, there):
    """It is looked up before an image is built for a stack that could not start."""
    check_account(cloud.session, parse_config({"function": {"google_credentials": there["google_credentials"]}}))
    missing = {"google_credentials": f"arn:aws:secretsmanager:{HERE}:secret:none-AbCdEf"}
    with pytest.raises(ConfigError, match="^function.google_credentials: .*none-AbCdEf is not there"):
        check_account(cloud.session, parse_config({"function": missing}))


def test_subnets_are_of_one_vpc_and_in_two_zones(cloud, there):
    """Resources in another region are reported."""
    first, second = there["subnets"]
    with pytest.raises(ConfigError, match=f"{there['elsewhere']} are not in {there['vpc']}"):
        check(cloud, vpc=there["vpc"], subnets=[first, second], task_subnets=[there["elsewhere"]])
    ec2 = cloud.session.client("ec2")
    zone = ec2.describe_subnets(SubnetIds=[first])["Subnets"][0]["AvailabilityZone"]
    block = {"VpcId": there["vpc"], "CidrBlock": "172.31.255.0/28", "AvailabilityZone": zone}
    beside = ec2.create_subnet(**block)["Subnet"]["SubnetId"]
    with pytest.raises(ConfigError, match="in 1 availability zone; a load balancer needs two"):
        check(cloud, vpc=there["vpc"], subnets=[first, beside])


def test_an_account_that_is_not_prepared_is_said(cloud):
    """The error has the command that prepares it; a missing region is an error too."""
    parameters = cloud.session.client("ssm")
    parameters.delete_parameter(Name=BOOTSTRAP)
    with pytest.raises(ConfigError, match="`npx aws-cdk bootstrap` once"):
        check(cloud)
    parameters.put_parameter(Name=BOOTSTRAP, Value="30", Type="String")
    with pytest.raises(ConfigError, match="no region: set AWS_REGION"):
        check_account(type("Session", (), {"region_name": None}), parse_config({"function": {}}))


# --- keys


@pytest.mark.parametrize("text", ["one,two\r\n\r\nthree\r\n", "one two\nthree", " one,\ttwo ,,three"])
def test_keys_are_read(tmp_path, monkeypatch, text):
    """Commas, white space and line breaks separate keys, in a file or on standard input."""
    (tmp_path / "keys").write_bytes(text.encode())
    assert read_keys(str(tmp_path / "keys")) == ["one", "two", "three"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert read_keys("-") == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\ufeffone", "line 1"),
        ("# ours\none", "line 1"),
        ("one\n'two'\n", "line 2"),
        ('"one"', "line 1"),
        ("one\nzwei # robot", "line 2"),
        ("one\nschlüssel", "line 2"),
        ("\x07", "line 1"),
        ("\u200bone", "line 1"),
        ("`one`", "line 1"),
        (" ,\n", "no key is in it"),
    ],
)
def test_what_is_no_key_is_refused_with_its_line(tmp_path, text, said):
    """Marks, comments, quotes and letters other than ASCII would become unintended keys; none is repeated."""
    file = tmp_path / "keys"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"{file}: {said}") as raised:
        read_keys(str(file))
    assert not any(word in str(raised.value) for word in ("schlüssel", "zwei", "two"))


@pytest.mark.parametrize("data", [None, b"\xffone", "one".encode("utf-16")])
def test_a_file_that_is_no_text_is_refused(tmp_path, data):
    """A missing file is an error too."""
    if data:
        (tmp_path / "keys").write_bytes(data)
    with pytest.raises(ConfigError, match=r"cannot be read as text|line 1"):
        read_keys(str(tmp_path / "keys"))


# --- the CDK's command line


@pytest.fixture
def run(cloud, tmp_path, monkeypatch):
    """Run a command with a configuration, and return its exit status and the arguments that `npx` got."""
    script, words = tmp_path / "npx", tmp_path / "words"
    script.write_text(f'#!/bin/sh\necho "$PWD" "$@" >> {words}\n[ "$4" != "$STOP" ]\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(commands.boto3, "Session", lambda: cloud.session)
    file = tmp_path / "larder.toml"

    def run(config, *arguments):
        file.write_text(config)
        words.write_text("")
        status = commands.main(["--config", str(file), *arguments])
        lines = words.read_text().replace(f" --context config={file}", "").splitlines()
        return status, [line.partition("aws-cdk@")[2].partition(" ")[2] for line in lines]

    return run


BOTH = '[service]\ncidr = ["10.0.0.0/8"]\n[function]\n'


def test_an_image_comes_before_what_runs_it(cloud, run, monkeypatch):
    """The order is repository, image by digest, then service and function."""
    repository = cloud.session.client("ecr")
    repository.create_repository(repositoryName="larder")
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {"digest": f"sha256:{'c' * 64}", "size": 1},
        "layers": [],
    }
    made = repository.put_image(repositoryName="larder", imageManifest=json.dumps(manifest), imageTag="1")
    digest = made["image"]["imageId"]["imageDigest"]
    uri = SECOND.partition("@")[0] + "@" + digest
    deployed = ["deploy larder-repository", f"deploy larder --parameters larder:Image={uri}", "deploy larder-function"]
    assert run(BOTH, "deploy", digest) == (0, deployed)
    monkeypatch.setenv("STOP", "larder-repository")
    assert run(BOTH, "deploy", digest) == (1, deployed[:1])
    monkeypatch.setenv("STOP", "larder")
    assert run(BOTH, "deploy", digest) == (1, deployed[:2])
    assert run("[function]", "deploy") == (0, deployed[2:])


def test_nothing_is_made_where_something_is_wrong(run, capsys):
    """A configuration, an account or an image that does not fit stops the command before the CDK is called."""
    assert run("[service]", "deploy", "larder") == (2, [])
    assert "service.cidr: field required" in capsys.readouterr().err
    assert run(BOTH + 'architecture = "riscv"', "plan") == (2, [])
    assert run('[service]\ncidr = ["10.0.0.0/8"]\nnotify = "arn:aws:sns:us-east-1:1:none"', "plan")[0] == 2
    assert run(BOTH, "deploy", "no-such-image") == (2, [])
    assert "no-such-image: no such image" in capsys.readouterr().err
    assert run(BOTH, "deploy") == (2, [])
    assert "the service larder is not there" in capsys.readouterr().err
    assert run(BOTH, "deploy", f"sha256:{'0' * 64}")[1] == ["deploy larder-repository"]
    assert "has no such image" in capsys.readouterr().err


def test_plan_and_destroy_are_the_cdks(run):
    """They are for all stacks of the configuration."""
    assert run(BOTH, "plan") == (0, ["diff"])
    assert run(BOTH, "destroy") == (0, ["destroy --all"])


@pytest.mark.parametrize("words", [["roll", "larder"], ["status"]])
def test_what_needs_a_service_says_so(run, words, capsys):
    """The commands fail with a message if the configuration has no service."""
    assert run("[function]", *words) == (2, [])
    assert "a table [service] is expected" in capsys.readouterr().err


def test_an_open_service_has_no_keys_to_change(run, tmp_path, capsys):
    """An error is raised instead of creating an unused secret."""
    (tmp_path / "keys").write_text("one")
    assert run('api_keys = "none"\n' + BOTH, "keys", str(tmp_path / "keys")) == (2, [])
    assert "open to all" in capsys.readouterr().err
