"""Where the service's log goes: a group in CloudWatch."""

from collections.abc import Mapping

from infra.aws.cloud import Cloud
from infra.aws.resource import Found, Resource, Wanted

DAYS = 30


class LogGroup(Resource):
    """A group of logs that end after a month."""

    key = "log-group"
    whole = False

    def __init__(self, cloud: Cloud, name: str) -> None:
        self._logs = cloud("logs")
        self._arn = cloud.arn("logs", f"log-group:{name}")
        self.name = name

    def wanted(self, ids: Mapping[str, str]) -> Wanted:
        return {"retentionInDays": DAYS}

    def find(self) -> Found | None:
        groups = self._logs.describe_log_groups(logGroupNamePrefix=self.name)["logGroups"]
        if not any(group["logGroupName"] == self.name for group in groups):
            return None
        return Found(self.name, self._logs.list_tags_for_resource(resourceArn=self._arn)["tags"])

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        self._logs.create_log_group(logGroupName=self.name, tags=dict(tags))
        return Found(self.name, tags)

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        self._logs.put_retention_policy(logGroupName=self.name, **wanted)
        return found

    def mark(self, found: Found, tags: Mapping[str, str]) -> None:
        self._logs.tag_resource(resourceArn=self._arn, tags=dict(tags))

    def delete(self, found: Found) -> bool:
        self._logs.delete_log_group(logGroupName=self.name)
        return True
