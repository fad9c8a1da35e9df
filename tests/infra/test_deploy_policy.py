"""The policies allow what the commands call, and nothing else."""

import json
import re
from pathlib import Path

import pytest

IAM = Path(__file__).parents[2] / "infra/iam"
PREFIX = {"elbv2": "elasticloadbalancing"}
FOR_ALL = "sts:GetCallerIdentity"  # allowed whatever a policy says
UNSEEN = {  # by whatever pushes the image, and by AWS itself, which asks whether the caller may
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
    "iam:CreateServiceLinkedRole",
    "iam:PassRole",
}


def actions(name):
    """The actions that a policy allows."""
    statements = json.loads((IAM / name).read_text())["Statement"]
    assert {statement["Effect"] for statement in statements} == {"Allow"}
    return {
        action
        for each in statements
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }


def called(calls):
    """The actions of the calls that were made, by the names that policies know."""
    parts = (call.split(":") for call in calls)
    return {f"{PREFIX.get(service, service)}:{operation}" for service, operation in parts} - {FOR_ALL}


@pytest.fixture(scope="module")
def calls(aws, tmp_path_factory):
    """Every call that the commands make: from nothing, to other options and back, to nothing; and those that look."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text("first-key")
    other = tmp_path_factory.mktemp("keys") / "other"
    other.write_text("second-key")
    certificate = aws.cloud("acm").request_certificate(DomainName="larder.example.org")["CertificateArn"]
    aws.calls.clear()
    up = ("up", "--image", "larder")
    secure = (*up, "--certificate", certificate, "--notify", "arn:aws:sns:us-east-1:123456789012:alarms")
    reading = ("--set", "LARDER_LABELS=s3://bucket/labels.txt")
    assert aws.deploy(*secure, "--api-keys", str(keys), *reading) == 0
    assert aws.deploy(*secure, "--api-keys", str(other), image="3c4d") == 0
    aws.cloud("ec2").authorize_security_group_ingress(
        GroupName="larder-balancer", IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="10.0.0.0/8"
    )
    assert aws.deploy(*up, "--api-keys", "none", "--cidr", "10.0.0.0/8") == 0
    making = called(aws.calls)
    aws.calls.clear()
    assert aws.deploy("status") == 0
    assert aws.deploy("plan", "--api-keys", "none") == 0
    assert aws.deploy("down", "--dry-run") == 0
    looking = called(aws.calls)
    aws.calls.clear()
    assert aws.deploy("down") == 0
    making |= called(aws.calls)
    aws.calls.clear()
    assert aws.deploy("status") == 1
    return making, looking | called(aws.calls)


def test_up_and_down_are_allowed(calls):
    """Every call that deploy.py makes is an action of its policy, and every action of it is used."""
    assert actions("deploy.json") == calls[0] | UNSEEN


def test_looking_is_allowed(calls):
    """The other policy has the calls of `status`, `plan` and dry runs, which read and read only."""
    assert actions("status.json") == calls[1]
    assert actions("status.json") < actions("deploy.json")


@pytest.mark.parametrize("name", ["deploy.json", "status.json"])
def test_a_policy_is_one_that_aws_takes(name):
    """Without wildcards in actions, with three words to fill in, and not longer than a managed policy may be."""
    text = (IAM / name).read_text()
    assert not [action for action in actions(name) if "*" in action]
    assert set(re.findall(r"\b[A-Z]{4,}\b", text)) == {"ACCOUNT", "REGION", "STACK"}
    filled = re.sub(r"\s", "", text.replace("ACCOUNT", "1" * 12).replace("REGION", "ap-southeast-1"))
    assert len(filled.replace("STACK", "s" * 20)) <= 6144
