"""The settings of the service, read once from the environment: `LARDER_` and the name in capitals.

>>> Settings(port=9000).port
9000
"""

import ipaddress
import json
import math
import os
import re
import socket
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.errors import SettingsError

MIB = 1024 * 1024
FIRESTORE = r"firestore://[a-z0-9][a-z0-9.:-]*/[A-Za-z0-9][A-Za-z0-9_.-]{0,199}"  # a project, a collection in it
S3Url = Annotated[str, StringConstraints(pattern="^s3://")]
OTHERS = ("LARDER_API_KEY", "LARDER_URL", "LARDER_PASSWORD", "LARDER_DATA_SET")  # of the client and the page
_SECRETS = [f"LARDER_{name}" for name in ("API_KEYS", "GOOGLE_CREDENTIALS", "WEBHOOKS", "WEBHOOK_SECRETS", "MQTT")]
MILVUS = r"milvus://[A-Za-z0-9.-]+:[0-9]{1,5}/[A-Za-z_][A-Za-z0-9_]{0,199}"


def available_processors() -> int:
    """Count the processors that this process may use: its affinity, limited by the cgroup's quota (v2, then v1)."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota(Path("/sys/fs/cgroup"))
    return processors if quota is None else max(1, min(processors, math.ceil(quota)))


def _cgroup_quota(root: Path) -> float | None:
    """Return the cgroup's processor quota, None without one."""
    try:
        if (root / "cpu.max").exists():
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text()
            period = (root / "cpu/cpu.cfs_period_us").read_text()
        return None if quota == "max" or int(quota) < 0 else int(quota) / int(period)
    except (OSError, ValueError):
        return None


class Settings(BaseSettings):
    """All settings, frozen. docs/settings.md has a row for each, which a test checks."""

    model_config = SettingsConfigDict(env_prefix="LARDER_", frozen=True, extra="forbid", env_ignore_empty=True)

    model: str = Field(
        default="larder-small",
        min_length=1,
        description=(
            "a bundle under `models/`, a folder, an `s3://` prefix, `hf:OWNER/NAME` (a CLIP ViT of the Hugging Face "
            "hub, made a bundle at the first start), or `open_clip:MODEL/PRETRAINED` without a bundle"
        ),
    )
    engine: Literal["auto", "onnxruntime", "onnxruntime-int8", "openvino", "torch"] = Field(
        default="auto",
        description="what runs the model; `auto`: the fastest that is installed and exact enough; `onnxruntime-int8`: "
        "half the time on processors without bfloat16, at a price that the start logs",
    )
    labels: S3Url | Path = Field(
        default=Path("labels/pantry.txt"),
        union_mode="left_to_right",
        description="the label file, or an `s3://` object; if unset, the bundle's own labels, where it has some",
    )
    templates: Path = Field(default=Path("labels/templates.txt"), description="the prompt templates")
    background: Path = Field(default=Path("labels/background.txt"), description='the prompts that mean "none of these"')
    nouns: Path = Field(
        default=Path("labels/nouns.txt"),
        description="everyday nouns: what a picture may show instead of the labels, for models whose `known` was not "
        "fitted on pictures",
    )
    update_unknown: bool = Field(
        default=False, description="whether `pantry_update` also counts confident answers that are not `known`"
    )
    pantry: str = Field(
        default="sqlite",
        pattern=rf"^(sqlite|none|{FIRESTORE})$",
        description="`sqlite` (in the data folder), `firestore://PROJECT/COLLECTION` or `none`",
    )
    pantry_strict: bool = Field(
        default=False, description="whether the start fails if Firestore does not answer within 30 seconds"
    )
    google_credentials: SecretStr | None = Field(
        default=None, description="Google's credentials for Firestore, as JSON, if the platform provides none"
    )
    contents: str = Field(
        default="faiss",
        pattern=rf"^(faiss|none|{MILVUS})$",
        description="`faiss` (SQLite in the data folder, an index in the process), `milvus://HOST:PORT/COLLECTION` "
        "or `none`",
    )
    keep_pictures: bool = Field(
        default=False,
        description="whether to keep the original pictures of contents, feedback and the review queue",
    )
    review: int = Field(
        default=500,
        ge=0,
        le=5000,
        description="how many pictures without a sure answer are kept for `GET /review`; 0 disables it",
    )
    data: Path = Field(default=Path("data"), description="the folder of the SQLite files")
    host: str = Field(default="127.0.0.1", min_length=1, description="the address to listen on")
    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="if no keys are set: the host names to answer to, besides `localhost` and IP addresses, "
        "comma-separated, or `*`; if empty, a service on a loopback address answers to none besides, and one on "
        "another address to any name",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="the port to listen on; 0 chooses a free one")
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        description="comma-separated keys, each `KEY` or `NAME:KEY`, where the key after the name has "
        "at least 16 characters (if it is shorter, the whole text with the name and the colon is the key); empty: open "
        "to all",
    )
    api_keys_file: Path | None = Field(
        default=None,
        description="a file with more keys, one a line, as `KEY` or `NAME:KEY`: the journal and "
        "`larder_key_requests_total` show the name; the key after a name has at least 16 characters; a change of the "
        "file counts within a second",
    )
    cors: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="the origins whose pages may call, such as `https://example.org`, comma-separated"
    )
    threads: int = Field(
        default_factory=available_processors,
        ge=1,
        le=1024,
        description="the processors to use, for the engine, for decoding and for searching",
    )
    max_body: int = Field(default=10 * MIB, ge=1024, le=1024 * MIB, description="the largest request body, in bytes")
    max_pixels: int = Field(
        default=50_000_000,
        ge=1,
        le=500_000_000,
        description="the largest picture, width times height; "
        "for WebP a third of it (lossless: a sixth), for HEIC and AVIF a half",
    )
    formats: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("JPEG", "PNG", "WEBP", "GIF", "BMP", "HEIC", "AVIF"),
        description="the picture formats that are accepted, comma-separated",
    )
    image_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="where `image_url` may be fetched from, comma-separated: hosts (`example.org`, `*.example.org`, "
        "`*`) and URL prefixes, at public addresses only; and networks such as `10.1.0.0/16`, public or not",
    )
    webhooks: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(), description="the http and https URLs that every event is posted to, comma-separated"
    )
    webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(), description="the secrets that sign webhooks, `whsec_` and base64: one for all, or one for each"
    )
    mqtt: SecretStr | None = Field(
        default=None,
        description="a broker, `mqtt://USER:PASSWORD@HOST:1883/larder` or `mqtts://...`, that receives items and "
        "recognitions, for Home Assistant; the path is the first level of the topics",
    )
    max_label_length: int = Field(default=200, ge=1, le=10_000, description="the longest label, in characters")
    max_labels: int = Field(
        default=1000, ge=1, le=100_000, description="the most labels, or texts and pictures to embed, of one request"
    )
    prompt_cache: int = Field(
        default=100_000, ge=0, le=100_000_000, description="how many prompt vectors are kept on disk between starts"
    )
    max_batch: int = Field(default=32, ge=1, le=1024, description="the most pictures encoded in one call")
    max_queue: int = Field(
        default=64, ge=1, le=100_000, description="the most pictures in progress; more are refused with 503"
    )
    max_queue_bytes: int = Field(
        default=64 * MIB, ge=1024, le=64 * 1024 * MIB, description="the most bytes of request bodies in progress"
    )
    drain: float = Field(default=5, ge=0, le=300, description="seconds of 503 after SIGTERM before the port closes")
    max_store: int = Field(
        default=10 * 1024 * MIB,
        ge=MIB,
        description="the largest size of each SQLite file, in bytes; a full one refuses changes with 503",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the lowest level that is logged"
    )

    @field_validator("api_keys", "formats", "cors", "hosts", "image_urls", "webhooks", "webhook_secrets", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Split a comma-separated string into its non-blank values, of which there must be one."""
        if not isinstance(value, str):
            return value
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if value and not parts:
            raise ValueError("one or more comma-separated values are needed")
        return parts

    @field_validator("port", mode="before")
    @classmethod
    def _not_a_service_link(cls, value: object) -> object:
        """Ignore the LARDER_PORT that Kubernetes sets to an address in a namespace with a Service called larder.

        The image names its own default, LARDER_IMAGE_PORT.
        """
        if isinstance(value, str) and re.fullmatch(r"(tcp|udp|sctp)://\S+:\d+", value):
            return os.environ.get("LARDER_IMAGE_PORT") or cls.model_fields["port"].default
        return value

    @field_validator("google_credentials")
    @classmethod
    def _json(cls, value: SecretStr | None) -> SecretStr | None:
        """Require a JSON object; the error must not repeat it."""
        try:
            found = json.loads(value.get_secret_value()) if value else {}
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ValueError("the JSON of a Google service account or identity federation is expected")
        return value

    @field_validator("cors")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Require scheme, host and optional port, as browsers send them, or * for all."""
        if not all(re.fullmatch(r"\*|https?://[^/?#\s]+", origin) for origin in value):
            raise ValueError("origins such as https://example.org, without a path, or *")
        return value

    @field_validator("hosts")
    @classmethod
    def _host_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Require names without a port, or * for all; return them in lower case."""
        if not all(re.fullmatch(r"\*|[A-Za-z0-9._-]+", host) for host in value):
            raise ValueError("host names such as larder.example, without a port, or *")
        return tuple(host.lower().rstrip(".") for host in value)

    @field_validator("image_urls")
    @classmethod
    def _sources(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Require host names, URL prefixes or networks."""
        for source in value:
            if re.fullmatch(r"[0-9.]+(/\d+)?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(/\d+)?", source):
                ipaddress.ip_network(source, strict=False)
            elif not re.fullmatch(r"(\*|(\*\.)?[A-Za-z0-9._-]+)(:\d{1,5})?|https?://[^\s/?#@%]+(/[^\s?#]*)?", source):
                raise ValueError("host names, URL prefixes such as https://example.org/photos/, or networks")
        return value

    @field_validator("formats")
    @classmethod
    def _known_formats(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Allow only formats that were tested with hostile files."""
        known = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "HEIC", "AVIF")
        formats = tuple(name.upper() for name in value)
        if not formats or not set(formats) <= set(known):
            raise ValueError(f"one or more of {', '.join(known)}")
        return formats


def firestore_emulator() -> str | None:
    """Return HOST:PORT of the Firestore emulator, from the variable that all of Google's libraries read."""
    return os.environ.get("FIRESTORE_EMULATOR_HOST") or None


def traced() -> bool:
    """Return whether to send traces, by the variable that all OpenTelemetry libraries read."""
    return bool(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"))


def task_role() -> tuple[str, str] | None:
    """Return the URL of an ECS task's role credentials and its region; None outside ECS."""
    path = os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    return (f"http://169.254.170.2{path}", os.environ.get("AWS_REGION", "us-east-1")) if path else None


def allowed_hosts(settings: Settings) -> tuple[str, ...]:
    """Return the host names that a service without keys answers to, `*` for any.

    >>> allowed_hosts(Settings(host="0.0.0.0")), allowed_hosts(Settings(host="127.0.0.1"))
    (('*',), ())
    """
    loopback = settings.host == "localhost" or settings.host.startswith("127.") or settings.host == "::1"
    return settings.hosts or (() if loopback else ("*",))


def check_names(variables: Iterable[str]) -> None:
    """Raise SettingsError for a variable whose name nearly matches a setting's, so that typing errors are not ignored.

    Other names that begin with LARDER_ belong to the client, the pages or a container platform.
    """
    settings = {f"LARDER_{name.upper()}" for name in Settings.model_fields}
    for name in sorted(set(variables) - settings - set(OTHERS)):
        if name.startswith("LARDER_") and (meant := get_close_matches(name, settings, 1, 0.88)):
            raise SettingsError(f"{name} is not a setting: {meant[0]} is")


def read_settings() -> Settings:
    """Read the settings from the environment.

    Raises SettingsError with one line that names the setting, the value found and what is allowed.
    """
    check_names(os.environ)
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"LARDER_{str(first['loc'][0]).upper()}"
        found = "that value" if name in _SECRETS else repr(first["input"])
        allowed = first["msg"].removeprefix("Value error, ")
        if first["type"] == "string_pattern_mismatch":
            allowed = f"{Settings.model_fields[str(first['loc'][0])].description} is allowed"
        raise SettingsError(f"{name}: {found} was found; {allowed[0].lower()}{allowed[1:]}") from error


def check_address(host: str, port: int) -> None:
    """Raise SettingsError if the service cannot listen on the address, before anything is loaded."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address, family=family).close()
    except OSError as error:
        raise SettingsError(
            f"LARDER_HOST, LARDER_PORT: {host}:{port} was found, which cannot be listened on: {error.strerror}; "
            "LARDER_PORT=8001, for instance, takes another port"
        ) from error
