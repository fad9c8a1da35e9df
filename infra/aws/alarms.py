"""What calls somebody: alarms in CloudWatch on what the load balancer counts."""

from collections.abc import Mapping
from typing import Any

from infra.aws.cloud import Cloud
from infra.aws.resource import Found, Resource, Wanted, pairs, unpaired

SLOW = 1.0  # seconds; an answer takes some hundredths
ALARMS: dict[str, dict[str, Any]] = {
    "errors": {
        "AlarmDescription": "The service answers 5xx; 503 when it has more to do than it can",
        "MetricName": "HTTPCode_Target_5XX_Count",
        "Statistic": "Sum",
        "Threshold": 5.0,
    },
    "unreached": {
        "AlarmDescription": "The load balancer answers 5xx itself: no task answers, or too late",
        "MetricName": "HTTPCode_ELB_5XX_Count",
        "Statistic": "Sum",
        "Threshold": 5.0,
    },
    "unhealthy": {
        "AlarmDescription": "A task's GET / does not answer 200",
        "MetricName": "UnHealthyHostCount",
        "Statistic": "Maximum",
        "Threshold": 1.0,
    },
    "slow": {
        "AlarmDescription": f"One answer in a hundred takes longer than {SLOW:g} s",
        "MetricName": "TargetResponseTime",
        "ExtendedStatistic": "p99",
        "Threshold": SLOW,
    },
}


class Alarm(Resource):
    """One alarm: three bad minutes of five."""

    def __init__(self, cloud: Cloud, stack: str, which: str, notify: str) -> None:
        """`notify` is the topic in SNS that is told; empty: the alarm only shows."""
        self._cloudwatch = cloud("cloudwatch")
        self._which = which
        self._notify = notify
        self.key = f"alarm-{which}"
        self.name = f"{stack}-{which}"

    def wanted(self, ids: Mapping[str, str]) -> Wanted:
        dimensions = {"LoadBalancer": ids["balancer"].rpartition("loadbalancer/")[2]}
        if self._which == "unhealthy":
            dimensions["TargetGroup"] = ids["targets"].rpartition(":")[2]
        told = [self._notify] if self._notify else []
        return {
            **ALARMS[self._which],
            "Namespace": "AWS/ApplicationELB",
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            "Period": 60,
            "EvaluationPeriods": 5,
            "DatapointsToAlarm": 3,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": told,
            "OKActions": told,
        }

    def find(self) -> Found | None:
        alarms = self._cloudwatch.describe_alarms(AlarmNames=[self.name])["MetricAlarms"]
        if not alarms:
            return None
        arn = alarms[0]["AlarmArn"]
        return Found(arn, unpaired(self._cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]))

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        self._cloudwatch.put_metric_alarm(AlarmName=self.name, **wanted, Tags=pairs(tags))
        return Found(self.name, tags)

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        self._cloudwatch.put_metric_alarm(AlarmName=self.name, **wanted)
        return found

    def mark(self, found: Found, tags: Mapping[str, str]) -> None:
        self._cloudwatch.tag_resource(ResourceARN=found.id, Tags=pairs(tags))

    def delete(self, found: Found) -> bool:
        self._cloudwatch.delete_alarms(AlarmNames=[self.name])
        return True
