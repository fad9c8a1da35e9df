"""The roll on moto, with the stack of the synthesised template: what comes up, what does not, and calls that fail.

moto starts no tasks and moves no packets; tests/infra/cloud.py says what deployments do instead.
"""

import json
import re
import warnings
from contextlib import suppress

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from infra.aws import __main__ as commands
from infra.aws.roll import RollError
from tests.infra.cloud import FIRST, REGION, SECOND, Cloud
from tests.infra.conftest import ROOT

pytestmark = pytest.mark.timeout(func_only=True)  # a synthesis takes half a minute of a processor


@pytest.fixture(scope="module")
def account(templates):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*not supported by moto's CloudFormation")
        cloud = Cloud(patch)
        cloud.create(templates)
        yield cloud
        cloud.stop()


@pytest.fixture
def cloud(account):
    """The account, whose service runs the first image."""
    account.rest()
    account.roller.roll(FIRST)
    account.calls.clear()
    return account


def command(cloud, folder, *words, name="larder"):
    """`python -m infra.aws` with a configuration; waiting takes no time."""
    file = folder / "larder.toml"
    file.write_text(f'name = "{name}"\n[service]\ncidr = ["10.0.0.0/8"]\n[function]\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands.boto3, "Session", lambda: cloud.session)
        if name == "larder":
            patch.setattr(commands, "Roller", lambda *_: cloud.roller)
        return commands.main(["--config", str(file), *words])


def test_moto_takes_the_template(cloud):
    """All kinds that it knows are there, by the names that the roll and the policies rely on."""
    stacks = cloud.session.client("cloudformation").describe_stacks()["Stacks"]
    expected = dict.fromkeys(("larder", "larder-repository"), "CREATE_COMPLETE")
    assert {each["StackName"]: each["StackStatus"] for each in stacks} == expected
    assert cloud.revision("larder:1")["containerDefinitions"][0]["image"] == FIRST
    roles = {role["RoleName"] for role in cloud.session.client("iam").list_roles()["Roles"]}
    assert roles == {f"larder-{REGION}-execution", f"larder-{REGION}-task"}
    (group,) = cloud.session.client("logs").describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == ("/ecs/larder", 30)
    (balancer,) = cloud.session.client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert balancer["Scheme"] == "internet-facing"


def test_an_image_is_rolled_out(cloud):
    """A new revision has that image and the stack's other values, and the service uses it."""
    before = cloud.revision("larder")
    cloud.roller.roll(SECOND)
    assert cloud.runs() == SECOND
    after = cloud.revision("larder")
    assert after["revision"] == before["revision"] + 1
    for task in (before, after):
        task["containerDefinitions"][0].pop("image")
    assert after["containerDefinitions"] == before["containerDefinitions"]
    names = ("executionRoleArn", "taskRoleArn", "cpu", "memory", "volumes")
    assert [after[name] for name in names] == [before[name] for name in names]
    assert cloud.roller.image() == SECOND


@pytest.mark.parametrize(
    ("outcome", "trouble"),
    [("FAILED", "the rollout is FAILED"), ("IN_PROGRESS", "the rollout has not ended after 3 s")],
)
def test_what_does_not_come_up_is_gone_back_from(cloud, outcome, trouble):
    """ECS's circuit breaker rolls back, or the roll does after its timeout; the error says why."""
    cloud.outcome = outcome
    before = cloud.service.task_definition.rpartition("/")[2]
    cloud.end_a_task("Essential container in task exited", "larder cannot start: LARDER_LABELS")
    with pytest.raises(RollError) as raised:
        cloud.roller.roll(SECOND)
    lines = str(raised.value).splitlines()
    assert lines[0] == f"{trouble}; {before} runs again"
    assert "task: Essential container in task exited; exit code 1" in lines
    assert lines[-1] == "log: larder cannot start: LARDER_LABELS"
    assert cloud.runs() == FIRST


@pytest.mark.parametrize("outcome", ["COMPLETED", "FAILED", "IN_PROGRESS"])
def test_any_call_may_fail(cloud, outcome):
    """After any failed call the service has one of the two images, the error is shown, and the same roll succeeds."""
    cloud.end_a_task("over", "a line")
    cloud.outcome, image = outcome, SECOND
    with suppress(RollError):
        cloud.roller.roll(image)
    count = len(cloud.calls)
    assert count >= 6
    for number in range(count):
        cloud.outcome, cloud.failing = outcome, (number, "unreachable" if number % 2 else "refused")
        image = FIRST if cloud.runs() == SECOND else SECOND
        cloud.calls.clear()
        with pytest.raises((RollError, ClientError, BotoCoreError), match=r"no\s+right|Could not connect"):
            cloud.roller.roll(image)
        assert cloud.runs() in (FIRST, SECOND)
        cloud.outcome, cloud.failing = "COMPLETED", None
        cloud.roller.roll(image)
        assert cloud.runs() == image


def test_a_way_back_that_fails_is_said(cloud):
    """The error names the revision to restore, and the reason why that failed."""
    before = cloud.service.task_definition.rpartition("/")[2]
    cloud.outcome = "IN_PROGRESS"
    with suppress(RollError):
        cloud.roller.roll(SECOND)
    _, back = [number for number, call in enumerate(cloud.calls) if call == "ecs:UpdateService"]
    cloud.calls.clear()
    cloud.failing = (back, "refused")
    with pytest.raises(RollError, match=f"has not ended after 3 s, and going back to {before} failed: .*AccessDenied"):
        cloud.roller.roll(SECOND)


def test_new_keys_replace_the_tasks(cloud, tmp_path, capsys):
    """They are put in the secrets of both stacks, and tasks that read them come up; nothing prints them."""
    file = tmp_path / "keys"
    file.write_text("second,third\n")
    cloud.outcome = "renewed"
    before = cloud.service.deployments[0]["id"]
    assert command(cloud, tmp_path, "keys", str(file)) == 0
    secrets = cloud.session.client("secretsmanager")
    for name in ("larder/api-keys", "larder-function/api-keys"):
        assert secrets.get_secret_value(SecretId=name)["SecretString"] == "second,third"
    assert cloud.service.deployments[0]["id"] != before
    assert cloud.runs() == FIRST
    assert "second" not in "".join(capsys.readouterr())


def test_status_says_what_runs(cloud, tmp_path, capsys):
    """It shows image, tasks, rollouts and alarms; the exit status is 0 if all is well, else 1."""
    assert command(cloud, tmp_path, "status") == 0
    assert FIRST in capsys.readouterr().out
    watch = cloud.session.client("cloudwatch")
    rule = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "Threshold": 1.0}
    watch.put_metric_alarm(AlarmName="larder-slow", **rule)
    watch.set_alarm_state(AlarmName="larder-slow", StateValue="ALARM", StateReason="slow")
    assert command(cloud, tmp_path, "status") == 1
    assert "alarms    larder-slow" in capsys.readouterr().out
    watch.delete_alarms(AlarmNames=["larder-slow"])


def test_logs_are_those_of_all_tasks(cloud, tmp_path, capsys):
    """The argument is a number of minutes; anything else is an error."""
    cloud.end_a_task("over", "a line of its own")
    assert command(cloud, tmp_path, "logs", "5") == 0
    assert "a line of its own" in capsys.readouterr().out.splitlines()
    assert command(cloud, tmp_path, "logs", "few") == 2
    assert "few: a number of minutes is expected" in capsys.readouterr().err


def test_what_stops_a_command_is_one_line(cloud, tmp_path, capsys):
    """A missing service is an error with the command that creates it; an AWS error names the call."""
    assert command(cloud, tmp_path, "status", name="absent") == 2
    assert capsys.readouterr().err == "larder: the service absent is not there: `make deploy IMAGE=...` makes it\n"
    cloud.calls.clear()
    cloud.failing = (0, "refused")
    assert command(cloud, tmp_path, "status") == 2
    said = "larder: An error occurred (AccessDenied) when calling the DescribeServices operation: no right\n"
    assert capsys.readouterr().err == said


def test_the_policy_allows_what_the_commands_call(cloud, tmp_path):
    """infra/iam/operate.json has every action of roll, status, logs and keys, and of a push, and no other."""
    (tmp_path / "keys").write_text("second")
    cloud.end_a_task("over", "a line")
    cloud.outcome = "renewed"
    for words in (["status"], ["logs"], ["keys", str(tmp_path / "keys")]):
        assert command(cloud, tmp_path, *words) == 0
    cloud.outcome = "FAILED"
    with pytest.raises(RollError):
        cloud.roller.roll(SECOND)
    text = (ROOT / "infra/iam/operate.json").read_text()
    allowed = {action for each in json.loads(text)["Statement"] for action in each["Action"]}
    unseen = {action for action in allowed if action.startswith("ecr:")} | {"iam:PassRole", "ecs:TagResource"}
    assert allowed - unseen == {call.replace("monitoring:", "cloudwatch:") for call in cloud.calls}
    assert {"ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:GetAuthorizationToken", "ecr:PutImage"} <= unseen
    assert not [action for action in allowed if "*" in action]
    assert set(re.findall(r"\b[A-Z]{4,}\b", text)) == {"ACCOUNT", "REGION", "NAME"}
