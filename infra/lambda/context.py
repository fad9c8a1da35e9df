"""The context values of the stack: `cdk deploy -c memory=4096`."""

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

ROOT = Path(__file__).parents[2]
OPEN = "none"  # in place of a secret: no keys


class Context(BaseModel):
    """What may be chosen; the README has the same table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str = Field("larder-small", description="a bundle under `models/`, baked into the image")
    architecture: Literal["arm64", "amd64"] = Field("arm64", description="`arm64` or `amd64`")
    memory: int = Field(3008, ge=512, le=10240, description="MB; a processor comes with every 1,769 of them")
    timeout: int = Field(29, ge=5, le=29, description="seconds; API Gateway waits no longer than that")
    provisioned_concurrency: int = Field(0, ge=0, le=1000, description="environments that are kept warm, and paid for")
    pantry: str = Field("none", description="`none` or `firestore://PROJECT/COLLECTION`")
    api_keys_secret: str = Field(
        "",
        validate_default=True,
        description="must be given: a secret of Secrets Manager with keys, comma-separated, or `none`: open to all",
    )
    rate: int = Field(50, ge=1, le=10_000, description="requests a second, beyond which API Gateway answers 429")
    burst: int = Field(100, ge=1, le=5_000, description="requests at once, beyond which API Gateway answers 429")

    @field_validator("bundle")
    @classmethod
    def _there(cls, value: str) -> str:
        found = sorted(path.parent.name for path in (ROOT / "models").glob("*/config.json"))
        if value not in found:
            raise ValueError(f"one of {', '.join(found)}; `make model` exports others")
        return value

    @field_validator("api_keys_secret")
    @classmethod
    def _said(cls, value: str) -> str:
        """A service that is open to the internet is never made by mistake."""
        if not value:
            raise ValueError("the name of a secret with keys, or none for a service that is open to all")
        return value

    @field_validator("pantry")
    @classmethod
    def _shared(cls, value: str) -> str:
        """A pantry in an environment's own files would be one of many, and gone with it."""
        if not re.fullmatch(r"none|firestore://[^/]+/[^/]+", value):
            raise ValueError("none or firestore://PROJECT/COLLECTION")
        return value


def read_context(given: dict[str, object]) -> Context:
    """The context of the values that were given; raises SystemExit with one line that says what is allowed."""
    try:
        return Context.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        raise SystemExit(f"-c {first['loc'][0]}={first['input']}: {message[0].lower()}{message[1:]}") from error
