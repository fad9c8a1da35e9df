"""What must not be seen: a value in Secrets Manager."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from infra.aws.cloud import Cloud, code
from infra.aws.resource import Found, Resource, Wanted, pairs, unpaired


@dataclass(frozen=True)
class Value:
    """A secret value and its mark, by which a change is seen; guessing values to find the mark's takes its time."""

    text: str = field(repr=False)
    mark: str

    @classmethod
    def of(cls, text: str, salt: str) -> "Value":
        """The value with its mark: 64 bits that take 16 MiB and some 50 ms to compute."""
        return cls(text, hashlib.scrypt(text.encode(), salt=salt.encode(), n=2**14, r=8, p=1, dklen=8).hex())


class Secret(Resource):
    """A secret; its id names the version too, so that a new value makes a new task definition, and new tasks."""

    renewed = True

    def __init__(self, cloud: Cloud, key: str, name: str, value: Value | None, keep: bool) -> None:
        """Without a value it is kept as it is, or, when not `keep`, not wanted at all."""
        self._secrets = cloud("secretsmanager")
        self._mark = value.mark if value else ""
        self._text = value.text if value else ""
        self._keep = keep
        self.key = key
        self.name = name

    def wanted(self, ids: Mapping[str, str]) -> Wanted | None:
        if self._mark:
            return {"value": self._mark}
        return {} if self._keep else None

    def find(self) -> Found | None:
        try:
            secret = self._secrets.describe_secret(SecretId=self.name)
        except ClientError as error:
            if code(error) == "ResourceNotFoundException":
                return None
            raise
        if "DeletedDate" in secret:
            return None
        (version,) = [key for key, stages in secret["VersionIdsToStages"].items() if "AWSCURRENT" in stages]
        return Found(f"{secret['ARN']}:::{version}", unpaired(secret.get("Tags", [])))

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        made = self._secrets.create_secret(Name=self.name, SecretString=self._text, Tags=pairs(tags))
        return Found(f"{made['ARN']}:::{made['VersionId']}", tags)

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        made = self._secrets.put_secret_value(SecretId=self.name, SecretString=self._text)
        return Found(f"{made['ARN']}:::{made['VersionId']}", tags)

    def mark(self, found: Found, tags: Mapping[str, str]) -> None:
        self._secrets.tag_resource(SecretId=self.name, Tags=pairs(tags))

    def delete(self, found: Found) -> bool:
        self._secrets.delete_secret(SecretId=self.name, ForceDeleteWithoutRecovery=True)
        return True
