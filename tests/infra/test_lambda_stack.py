"""The template says what will stand on AWS: what it may do, what it costs, who may call it."""

import json

import pytest


@pytest.fixture(scope="module")
def template(synthesise):
    """The stack as it is when nothing is chosen."""
    return synthesise()


def test_the_function_is_the_image(template):
    """It is made of an image for arm64, with API Gateway's patience and without a pantry."""
    template.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "PackageType": "Image",
            "Architectures": ["arm64"],
            "MemorySize": 3008,
            "Timeout": 29,
            "Environment": {"Variables": {"LARDER_PANTRY": "none"}},
        },
    )


def test_values_are_taken_over(synthesise):
    """Architecture, memory, timeout, pantry and throttling are those that were asked for."""
    pantry = "firestore://shop/pantry"
    template = synthesise(architecture="amd64", memory="10240", timeout="10", pantry=pantry, rate="5", burst="7")
    function = {"Architectures": ["x86_64"], "MemorySize": 10240, "Timeout": 10}
    environment = {"Environment": {"Variables": {"LARDER_PANTRY": pantry}}}
    template.has_resource_properties("AWS::Lambda::Function", function | environment)
    throttle = {"ThrottlingRateLimit": 5, "ThrottlingBurstLimit": 7}
    template.has_resource_properties("AWS::ApiGatewayV2::Stage", {"DefaultRouteSettings": throttle})


def test_every_path_reaches_the_function(template):
    """One default route and the default stage: paths arrive as they were sent, preflights too."""
    template.has_resource_properties("AWS::ApiGatewayV2::Route", {"RouteKey": "$default"})
    template.resource_count_is("AWS::ApiGatewayV2::Route", 1)
    template.has_resource_properties("AWS::ApiGatewayV2::Stage", {"StageName": "$default"})
    integration = {"IntegrationType": "AWS_PROXY", "PayloadFormatVersion": "2.0"}
    template.has_resource_properties("AWS::ApiGatewayV2::Integration", integration)


def test_the_role_may_write_its_log_and_nothing_else(template):
    """One policy with two actions on one group of logs."""
    policies = template.find_resources("AWS::IAM::Policy")
    (policy,) = policies.values()
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert statement["Resource"]["Fn::GetAtt"][0].startswith("FunctionLog")
    (role,) = template.find_resources("AWS::IAM::Role").values()
    assert "ManagedPolicyArns" not in role["Properties"]


def test_logs_end(template):
    """Both groups of logs are kept for a month; the gateway's has a JSON line for each request."""
    groups = template.find_resources("AWS::Logs::LogGroup").values()
    assert [group["Properties"]["RetentionInDays"] for group in groups] == [30, 30]
    (stage,) = template.find_resources("AWS::ApiGatewayV2::Stage").values()
    assert {"ip", "path", "status", "ms"} <= json.loads(stage["Properties"]["AccessLogSettings"]["Format"]).keys()


def test_nothing_is_kept_warm_unless_asked(synthesise, template):
    """Provisioned concurrency is on the alias that the API calls, and only when it was asked for."""
    (alias,) = template.find_resources("AWS::Lambda::Alias").values()
    assert "ProvisionedConcurrencyConfig" not in alias["Properties"]
    warm = {"ProvisionedConcurrencyConfig": {"ProvisionedConcurrentExecutions": 2}}
    synthesise(provisioned_concurrency="2").has_resource_properties("AWS::Lambda::Alias", warm)


def test_keys_stay_in_their_secret(synthesise):
    """The function knows the secret's name, and its role may read that one; template and configuration have no key."""
    template = synthesise(api_keys_secret="larder-keys")
    variables = {"LARDER_PANTRY": "none", "LARDER_API_KEYS_SECRET": "larder-keys"}
    template.has_resource_properties("AWS::Lambda::Function", {"Environment": {"Variables": variables}})
    assert "resolve:secretsmanager" not in json.dumps(template.to_json())
    (policy,) = template.find_resources("AWS::IAM::Policy").values()
    _, read = policy["Properties"]["PolicyDocument"]["Statement"]
    assert set(read["Action"]) == {"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"}
    assert ":secret:larder-keys-??????" in json.dumps(read["Resource"])


def test_it_says_where_it_stands(template):
    """The outputs are the URL, the function's name and the image."""
    assert template.find_outputs("*").keys() == {"Url", "FunctionName", "Image"}
