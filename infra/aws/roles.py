"""What the service's tasks may do: roles in IAM."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from infra.aws.cloud import Cloud, code
from infra.aws.resource import Found, Resource, Wanted, pairs, unpaired

POLICY = "larder"
Statement = dict[str, Any]


class Role(Resource):
    """A role that only tasks of this account and region take on, with one policy of its own, or none."""

    whole = False

    def __init__(self, cloud: Cloud, key: str, name: str, statements: Sequence[Statement]) -> None:
        self._iam = cloud("iam")
        self._statements = list(statements)
        self._account = cloud.account
        self._cluster = cloud.arn("ecs", "*")
        self.key = key
        self.name = name

    def wanted(self, ids: Mapping[str, str]) -> Wanted:
        trust: Statement = {
            "Effect": "Allow",
            "Principal": {"Service": "ecs-tasks.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": self._account},
                "ArnLike": {"aws:SourceArn": self._cluster},
            },
        }
        return {"trust": _policy([trust]), "policy": _policy(self._statements) if self._statements else ""}

    def find(self) -> Found | None:
        try:
            role = self._iam.get_role(RoleName=self.name)["Role"]
        except ClientError as error:
            if code(error) == "NoSuchEntity":
                return None
            raise
        return Found(role["Arn"], unpaired(role.get("Tags", [])))

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        made = self._iam.create_role(
            RoleName=self.name, AssumeRolePolicyDocument=wanted["trust"], Tags=pairs(tags), Path="/"
        )
        return Found(made["Role"]["Arn"], tags)

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        self._iam.update_assume_role_policy(RoleName=self.name, PolicyDocument=wanted["trust"])
        if wanted["policy"]:
            self._iam.put_role_policy(RoleName=self.name, PolicyName=POLICY, PolicyDocument=wanted["policy"])
        else:
            self._drop_policy()
        return found

    def mark(self, found: Found, tags: Mapping[str, str]) -> None:
        self._iam.tag_role(RoleName=self.name, Tags=pairs(tags))

    def delete(self, found: Found) -> bool:
        self._drop_policy()
        self._iam.delete_role(RoleName=self.name)
        return True

    def _drop_policy(self) -> None:
        if POLICY in self._iam.list_role_policies(RoleName=self.name)["PolicyNames"]:
            self._iam.delete_role_policy(RoleName=self.name, PolicyName=POLICY)


def allow(actions: Sequence[str], *resources: str, **condition: Any) -> Statement:
    """A statement that allows actions on resources, under a condition where one is given."""
    statement: Statement = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return statement | {"Condition": condition} if condition else statement


def _policy(statements: Sequence[Statement]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
