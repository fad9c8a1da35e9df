"""Where the image is kept: a repository in ECR."""

import base64
import json
from collections.abc import Mapping

from botocore.exceptions import ClientError

from infra.aws.cloud import Cloud, code
from infra.aws.push import Source
from infra.aws.resource import (
    FINGERPRINT,
    STACK,
    DeployError,
    Found,
    Resource,
    Wanted,
    fingerprint,
    pairs,
    unpaired,
)

KEPT = 20  # images; older ones cannot be gone back to
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": f"the latest {KEPT} images",
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT},
            "action": {"type": "expire"},
        }
    ]
}


class Repository(Resource):
    """A repository whose images are scanned, whose tags stay with their image, and whose oldest images go."""

    key = "repository"
    whole = False

    def __init__(self, cloud: Cloud, name: str) -> None:
        self._ecr = cloud("ecr")
        self._arn = cloud.arn("ecr", f"repository/{name}")
        self.name = name

    def wanted(self, ids: Mapping[str, str]) -> Wanted:
        return {"scan": True, "tags": "IMMUTABLE", "lifecycle": json.dumps(LIFECYCLE)}

    def find(self) -> Found | None:
        try:
            (repository,) = self._ecr.describe_repositories(repositoryNames=[self.name])["repositories"]
        except ClientError as error:
            if code(error) == "RepositoryNotFoundException":
                return None
            raise
        tags = self._ecr.list_tags_for_resource(resourceArn=self._arn)["tags"]
        return Found(repository["repositoryUri"], unpaired(tags))

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        made = self._ecr.create_repository(
            repositoryName=self.name,
            imageScanningConfiguration={"scanOnPush": wanted["scan"]},
            imageTagMutability=wanted["tags"],
            tags=pairs(tags),
        )
        return Found(made["repository"]["repositoryUri"], tags)

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        ecr, name = self._ecr, self.name
        ecr.put_image_scanning_configuration(
            repositoryName=name, imageScanningConfiguration={"scanOnPush": wanted["scan"]}
        )
        ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability=wanted["tags"])
        ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=wanted["lifecycle"])
        return found

    def mark(self, found: Found, tags: Mapping[str, str]) -> None:
        self._ecr.tag_resource(resourceArn=self._arn, tags=pairs(tags))

    def delete(self, found: Found) -> bool:
        self._ecr.delete_repository(repositoryName=self.name, force=True)
        return True


class Image(Resource):
    """An image in the repository. AWS gives it no tags of its own: it belongs to whom the repository belongs."""

    key = "image"

    def __init__(self, cloud: Cloud, repository: Repository, tag: str, source: Source | None) -> None:
        """`source` is where the image is when it is not in the repository; None: it must be there."""
        self._ecr = cloud("ecr")
        self._repository = repository
        self._tag = tag
        self._source = source
        self.name = f"{repository.name}:{tag}"

    def wanted(self, ids: Mapping[str, str]) -> Wanted:
        return {"uri": f"{ids['repository']}:{self._tag}"}

    def find(self) -> Found | None:
        repository = self._repository.find()
        if repository is None:
            return None
        try:
            self._ecr.describe_images(repositoryName=self._repository.name, imageIds=[{"imageTag": self._tag}])
        except ClientError as error:
            if code(error) == "ImageNotFoundException":
                return None
            raise
        same = fingerprint(self.wanted({"repository": repository.id}))
        return Found(f"{repository.id}:{self._tag}", {STACK: repository.tags.get(STACK, ""), FINGERPRINT: same})

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        if self._source is None:
            raise DeployError(f"image {self.name}: it is not in the repository; --image names one to push")
        (login,) = self._ecr.get_authorization_token()["authorizationData"]
        user, password = base64.b64decode(login["authorizationToken"]).decode().split(":", 1)
        self._source.push(wanted["uri"], user, password)
        return Found(wanted["uri"], tags)

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        return found  # a tag is one image's for ever

    def mark(self, found: Found, tags: Mapping[str, str]) -> None:
        pass

    def delete(self, found: Found) -> bool:
        return True  # it goes with its repository
