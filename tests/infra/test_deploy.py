"""`python -m infra.deploy` on moto: what it makes, changes, leaves alone and deletes.

moto starts no tasks and moves no packets: that the image runs, that the balancer reaches it, that a rollout drains and
that the circuit breaker goes back is not shown here.
"""

import io
import json

import pytest

UP = ("up", "--image", "larder", "--api-keys", "none")
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/larder"


@pytest.fixture
def empty(aws):
    """The account, with nothing in it."""
    aws.reset()
    return aws


@pytest.fixture
def stack(empty):
    """The account with one stack in it."""
    assert empty.deploy(*UP) == 0
    empty.calls.clear()
    return empty


def task_of(aws):
    """The container of the revision that the service runs."""
    (service,) = aws.cloud("ecs").describe_services(cluster="larder", services=["larder"])["services"]
    task = aws.cloud("ecs").describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    return task["containerDefinitions"][0]


def test_up_makes_all_of_it(stack, capsys):
    """Every resource is there, tagged and ready, and `status` says so."""
    assert stack.deploy("status") == 0
    lines = capsys.readouterr().out.splitlines()
    absent = {line.split()[1] for line in lines if line.startswith("absent")}
    assert absent == {"api-keys", "google-credentials", "https"}
    found = stack.inventory()
    tagged = ["repository tags", "log tags", "roles", "groups", "balancing tags", "clusters", "services", "tasks"]
    assert all("larder:stack" in each for kind in (*tagged, "alarm tags") for each in found[kind])


def test_what_is_made_is_what_is_meant(stack):
    """Scanning, log retention, drain, health check, circuit breaker, scaling and alarms are as documented."""
    cloud = stack.cloud
    (repository,) = cloud("ecr").describe_repositories()["repositories"]
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["imageTagMutability"] == "IMMUTABLE"
    (log,) = cloud("logs").describe_log_groups()["logGroups"]
    assert log["retentionInDays"] == 30
    (targets,) = cloud("elbv2").describe_target_groups()["TargetGroups"]
    assert (targets["HealthCheckPath"], targets["TargetType"]) == ("/", "ip")
    attributes = cloud("elbv2").describe_target_group_attributes(TargetGroupArn=targets["TargetGroupArn"])
    drain = {each["Key"]: each["Value"] for each in attributes["Attributes"]}["deregistration_delay.timeout_seconds"]
    assert int(drain) == task_of(stack)["stopTimeout"]
    (scaling,) = cloud("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert (scaling["MinCapacity"], scaling["MaxCapacity"]) == (1, 4)
    alarms = cloud("cloudwatch").describe_alarms(AlarmNamePrefix="larder-")["MetricAlarms"]
    assert {alarm["MetricName"] for alarm in alarms} == {
        "HTTPCode_Target_5XX_Count",
        "HTTPCode_ELB_5XX_Count",
        "UnHealthyHostCount",
        "TargetResponseTime",
    }


def test_up_again_changes_nothing(stack, capsys):
    """The second time, no call is made that could change anything; `plan` says the same."""
    assert stack.deploy(*UP) == 0
    assert stack.changes() == []
    assert stack.deploy("plan", *UP[1:]) == 0
    assert capsys.readouterr().out.endswith("nothing would change\n")


def test_plan_and_dry_runs_change_nothing(empty, capsys):
    """What they say is what the command does then."""
    said = []
    for arguments in (("plan", *UP[1:]), (*UP, "--dry-run"), UP):
        assert empty.deploy(*arguments) == 0
        said.append([line for line in capsys.readouterr().out.splitlines() if line.startswith("create")])
        assert bool(empty.changes()) == (arguments == UP)
    assert said[0] == said[1] == said[2]
    empty.calls.clear()
    assert empty.deploy("down", "--dry-run") == 0
    assert empty.changes() == []


def test_another_image_rolls(stack, capsys):
    """It is pushed, gets a revision of the task definition, and the service is brought to it; nothing else changes."""
    assert stack.deploy("plan", *UP[1:], image="3c4d") == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()[-4:-1]] == [
        ["create", "image"],
        ["update", "task"],
        ["update", "service"],
    ]
    assert stack.deploy(*UP, image="3c4d") == 0
    changes = ["ecr:PutImage", "ecs:RegisterTaskDefinition", "ecs:UpdateService", "ecs:TagResource"]
    assert stack.changes() == changes
    assert task_of(stack)["image"].endswith("/larder:3c4d")


def test_an_older_image_comes_back(stack):
    """By its tag, without a push; and without any image named, the one that runs stays."""
    assert stack.deploy(*UP, image="3c4d") == 0
    stack.calls.clear()
    assert stack.deploy("up", "--tag", "1a2b", "--api-keys", "none") == 0
    assert "ecr:PutImage" not in stack.changes()
    assert stack.deploy("up", "--max-tasks", "5", "--api-keys", "none") == 0
    assert task_of(stack)["image"].endswith("/larder:1a2b")


def test_a_service_that_went_back_is_said(empty, monkeypatch, capsys):
    """When ECS goes back to the revision before, a waiting `up` ends at once, `status` knows, and `up` tries again."""
    monkeypatch.setenv("MOTO_ECS_SERVICE_RUNNING", "0")
    assert empty.deploy(*UP, "--patience", "10") == 2

    def go_back():
        empty.cloud("ecs").update_service(cluster="larder", service="larder", taskDefinition="larder:1")

    assert empty.deploy(*UP, image="3c4d", meanwhile=go_back) == 2
    said = "service larder: larder:1 runs, not the latest revision, whose tasks did not come up"
    assert said in capsys.readouterr().err
    assert empty.deploy("status") == 1
    assert said in capsys.readouterr().out
    empty.calls.clear()
    assert empty.deploy(*UP, "--patience", "10", image="3c4d") == 2
    assert empty.changes() == ["ecs:UpdateService", "ecs:TagResource"]
    assert task_of(empty)["image"].endswith("/larder:3c4d")


def test_secrets_stay_secret(empty, tmp_path, capsys, monkeypatch):
    """The task names them by ARN and version; their values are nowhere else, and new ones make new tasks."""
    keys, google = tmp_path / "keys", tmp_path / "google.json"
    keys.write_text("first-key\nsecond-key\n")
    google.write_text('{"type": "service_account", "private_key": "hidden"}')
    up = ("up", "--image", "larder", "--api-keys", str(keys), "--google-credentials", str(google))
    assert empty.deploy(*up) == 0
    inventory = empty.inventory()
    assert '"first-key,second-key"' in inventory.pop("values")
    for secret in ("first-key", "hidden"):
        assert secret not in json.dumps(inventory)
        assert secret not in "".join(capsys.readouterr())
    before = task_of(empty)["secrets"]
    assert [each["name"] for each in before] == ["LARDER_API_KEYS", "LARDER_GOOGLE_CREDENTIALS"]
    empty.calls.clear()
    assert empty.deploy("up") == 0
    assert empty.changes() == []
    monkeypatch.setattr("sys.stdin", io.StringIO("third-key"))
    assert empty.deploy("up", "--api-keys", "-") == 0
    after = task_of(empty)["secrets"]
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_a_secret_that_is_not_wanted_goes(empty, tmp_path):
    """With `none` it is taken from the task first, then deleted."""
    keys = tmp_path / "keys"
    keys.write_text("first-key")
    assert empty.deploy("up", "--image", "larder", "--api-keys", str(keys)) == 0
    empty.calls.clear()
    assert empty.deploy(*UP) == 0
    assert task_of(empty)["secrets"] == []
    assert empty.changes()[-1] == "secretsmanager:DeleteSecret"


def test_nobody_opens_the_service_by_mistake(empty, capsys):
    """Without keys and open to all addresses it is only made when that was said."""
    assert empty.deploy("up", "--image", "larder") == 2
    assert "--api-keys: there are none, and 0.0.0.0/0 may call" in capsys.readouterr().err
    assert empty.inventory() == {}
    assert empty.deploy("up", "--image", "larder", "--cidr", "10.1.0.0/16,10.2.0.0/16") == 0


def test_a_certificate_brings_https(stack):
    """HTTPS forwards and HTTP redirects; without the certificate it is as before."""
    certificate = stack.cloud("acm").request_certificate(DomainName="larder.example.org")["CertificateArn"]
    before = stack.inventory()["listeners"]

    def listeners():
        (balancer,) = stack.cloud("elbv2").describe_load_balancers()["LoadBalancers"]
        found = stack.cloud("elbv2").describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        return {each["Port"]: each["DefaultActions"][0]["Type"] for each in found}

    assert stack.deploy(*UP, "--certificate", certificate) == 0
    assert listeners() == {80: "redirect", 443: "forward"}
    (group,) = stack.cloud("ec2").describe_security_groups(
        Filters=[{"Name": "group-name", "Values": ["larder-balancer"]}]
    )["SecurityGroups"]
    assert {rule["FromPort"] for rule in group["IpPermissions"]} == {80, 443}
    assert stack.deploy(*UP) == 0
    assert stack.inventory()["listeners"] == before


def test_down_leaves_nothing(stack, capsys):
    """Of every kind there is nothing left, and `status` says so."""
    assert stack.deploy(*UP, image="3c4d") == 0
    assert stack.deploy("down") == 0
    assert stack.inventory() == {}
    capsys.readouterr()
    assert stack.deploy("status") == 1
    assert all(line.startswith("absent") for line in capsys.readouterr().out.splitlines())


def test_down_waits_for_what_is_still_in_use(stack, capsys):
    """Another's listener holds the targets until it goes, and no longer."""
    elb = stack.cloud("elbv2")
    (targets,) = elb.describe_target_groups()["TargetGroups"]
    other = elb.create_load_balancer(Name="other", Subnets=subnets(stack.cloud))["LoadBalancers"][0]["LoadBalancerArn"]
    action = {"Type": "forward", "TargetGroupArn": targets["TargetGroupArn"]}
    made = elb.create_listener(LoadBalancerArn=other, Protocol="HTTP", Port=80, DefaultActions=[action])
    gone = []

    def go():
        gone.append(elb.delete_listener(ListenerArn=made["Listeners"][0]["ListenerArn"]))

    assert stack.deploy("down", meanwhile=go) == 0
    assert len(gone) == 1
    assert "wait      targets larder: still in use" in capsys.readouterr().out
    assert stack.inventory().keys() == {"balancers", "balancer attributes", "balancing tags"}


def test_up_after_half_a_down(stack):
    """What is left is used again, but for revisions of the task definition that were given up."""
    before = stack.inventory()
    stack.fail()
    while stack.changes()[-1:] != ["ecs:DeleteTaskDefinitions"]:
        assert stack.deploy("down") == 2
    stack.fail(False)
    assert stack.deploy(*UP) == 0
    assert stack.deploy("status") == 0
    after = stack.inventory()
    assert (before.keys(), before["alarms"], before["scaling"]) == (after.keys(), after["alarms"], after["scaling"])
    assert stack.deploy("down") == 0
    assert stack.inventory() == {}


def test_stacks_do_not_touch_each_other(stack):
    """A second one stands beside the first, and goes without it."""
    before = stack.inventory()
    assert stack.deploy(*UP, "--stack", "larder-green") == 0
    assert stack.deploy("down", "--stack", "larder-green") == 0
    assert stack.inventory() == before


FOREIGN = {
    "repository": lambda cloud: cloud("ecr").create_repository(repositoryName="larder"),
    "log-group": lambda cloud: cloud("logs").create_log_group(logGroupName="/ecs/larder"),
    "api-keys": lambda cloud: cloud("secretsmanager").create_secret(Name="larder/api-keys", SecretString="theirs"),
    "task-role": lambda cloud: cloud("iam").create_role(
        RoleName="larder-us-east-1-task", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}'
    ),
    "service-group": lambda cloud: cloud("ec2").create_security_group(GroupName="larder-service", Description="theirs"),
    "balancer": lambda cloud: cloud("elbv2").create_load_balancer(Name="larder", Subnets=subnets(cloud)),
    "targets": lambda cloud: cloud("elbv2").create_target_group(
        Name="larder", Protocol="HTTP", Port=80, VpcId=default_vpc(cloud)
    ),
    "cluster": lambda cloud: cloud("ecs").create_cluster(clusterName="larder"),
    "task": lambda cloud: cloud("ecs").register_task_definition(
        family="larder", containerDefinitions=[{"name": "theirs", "image": "theirs", "memory": 64}]
    ),
    "alarm-slow": lambda cloud: cloud("cloudwatch").put_metric_alarm(
        AlarmName="larder-slow", ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1, Threshold=1.0
    ),
}


@pytest.mark.parametrize("key", FOREIGN)
def test_what_is_another_s_is_not_touched(empty, key, capsys):
    """A resource of the same name that this stack did not make is refused by `up`, and left by `down`."""
    FOREIGN[key](empty.cloud)
    before = empty.inventory()
    empty.calls.clear()
    assert empty.deploy(*UP) == 2
    assert f"{key} " in capsys.readouterr().err
    assert empty.deploy("down") == 0
    assert empty.deploy("status") == 1
    assert empty.changes() == []
    assert empty.inventory() == before


def subnets(cloud):
    return [each["SubnetId"] for each in cloud("ec2").describe_subnets()["Subnets"]]


def default_vpc(cloud):
    return cloud("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]


def test_subnets_may_be_given(empty):
    """The balancer in some, the tasks in others without public addresses."""
    first, second, third, *_ = subnets(empty.cloud)
    assert empty.deploy(*UP, "--subnets", f"{first},{second}", "--task-subnets", third) == 0
    (service,) = empty.cloud("ecs").describe_services(cluster="larder", services=["larder"])["services"]
    network = service["networkConfiguration"]["awsvpcConfiguration"]
    assert (network["subnets"], network["assignPublicIp"]) == ([third], "DISABLED")
    assert empty.deploy(*UP, "--subnets", first) == 2


def test_a_stack_does_not_move_to_another_vpc(stack, capsys):
    """What AWS cannot move is said before anything is made."""
    ec2 = stack.cloud("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]
        for number, zone in enumerate("ab")
    ]
    stack.calls.clear()
    assert stack.deploy(*UP, "--subnets", ",".join(each["SubnetId"] for each in made)) == 2
    assert "cannot move" in capsys.readouterr().err
    assert stack.changes() == []


def test_waiting_ends(empty, monkeypatch, capsys):
    """Tasks that do not come up are waited for, for as long as was said, and named."""
    monkeypatch.setenv("MOTO_ECS_SERVICE_RUNNING", "0")
    assert empty.deploy(*UP, "--patience", "60") == 2
    told = capsys.readouterr()
    assert "wait      service larder: 0 of 1 tasks run" in told.out
    assert "service larder: 0 of 1 tasks run, still after 60 s; the same command waits on" in told.err


def test_a_refusal_of_aws_is_one_line(empty, capsys):
    """It says which resource, which call, what AWS said, and what to do."""
    assert empty.deploy(*UP, "--certificate", CERTIFICATE) == 2
    said = capsys.readouterr().err
    assert said.startswith("larder: https larder:443: CreateListener: ")
    assert said.endswith("then give the same command: it goes on from here\n")
    assert said.count("\n") == 1
