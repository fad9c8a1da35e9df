"""CloudWatch alarms on the load balancer's metrics."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_sns as sns
from constructs import Construct

SLOW_S = 1.0  # usual responses take some hundredths


def add_alarms(
    scope: Construct,
    name: str,
    notify: str,
    balancer: elb.ApplicationLoadBalancer,
    targets: elb.ApplicationTargetGroup,
) -> None:
    """Add four alarms, NAME-errors and so on: three bad minutes of five. `notify` is the ARN of a topic, or empty."""
    minute = cdk.Duration.minutes(1)
    of_service, of_balancer = targets.metrics, balancer.metrics
    alarms = {
        "errors": (
            of_service.http_code_target(elb.HttpCodeTarget.TARGET_5XX_COUNT, period=minute),
            5,
            "The service answers 5xx; 503 when it has more to do than it can",
        ),
        "unreached": (
            of_balancer.http_code_elb(elb.HttpCodeElb.ELB_5XX_COUNT, period=minute),
            5,
            "The load balancer answers 5xx itself: no task answers, or too late",
        ),
        "unhealthy": (
            of_service.unhealthy_host_count(statistic="Maximum", period=minute),
            1,
            "A task's GET / does not answer 200",
        ),
        "slow": (
            of_service.target_response_time(statistic="p99", period=minute),
            SLOW_S,
            f"One answer in a hundred takes longer than {SLOW_S:g} s",
        ),
    }
    for key, (metric, threshold, description) in alarms.items():
        alarm = cloudwatch.Alarm(
            scope,
            key.capitalize(),
            alarm_name=f"{name}-{key}",
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            evaluation_periods=5,
            datapoints_to_alarm=3,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        if notify:
            topic = actions.SnsAction(sns.Topic.from_topic_arn(scope, f"{key.capitalize()}Topic", notify))
            alarm.add_alarm_action(topic)
            alarm.add_ok_action(topic)
