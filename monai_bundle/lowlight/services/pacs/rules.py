"""The one file that says what the worker does: sources, destinations, and which images get a derived series."""

from __future__ import annotations

import fnmatch
import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from lowlight.artifacts.severity import LEVELS, thresholds
from lowlight.errors import RulesError
from lowlight.imaging.limits import DEFAULT, Limits

MEASURING = ("CT", "MR", "PT", "NM")
"""Modalities whose values measure something: never enhanced (see docs/dicom.md)."""

Attributes: TypeAlias = Mapping[str, str | None]
"""What is known of an instance by DICOM keyword: Modality, StationName, BodyPartExamined, SeriesDescription and
StudyDescription. None, or missing: not known yet; an empty string: the object does not say."""

_UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_LARGEST_SECRET = 64_000
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _seconds(value: Any) -> Any:
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|h|d)\s*", value)
        if match is None:
            raise ValueError("is no duration; write a number with ms, s, min, h or d, such as 30 s")
        return float(match[1]) * _UNITS[match[2]]
    if isinstance(value, bool) or not isinstance(value, int | float) or value != 0:
        raise ValueError("is no duration; write a number with ms, s, min, h or d, such as 30 s")
    return 0.0


def _path(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str) or not value:
        raise ValueError("is no path")
    # Not resolve(): a link to a disk or a secret stays one.
    return Path(os.path.abspath((info.context or Path()) / value))  # noqa: PTH100


def _device(value: Any) -> Any:
    if not isinstance(value, str) or re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", value) is None:
        raise ValueError("is no device; allowed: auto, cpu, cuda, cuda:0, cuda:1 and so on")
    return value


def _texts(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Duration = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]
"""Seconds; written with a unit."""
Patterns = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], BeforeValidator(_texts)]
"""Texts with * and ?; case does not count."""
File = Annotated[Path, BeforeValidator(_path), Field(strict=False)]
"""A path; relative ones start where the rules lie."""
Port = Annotated[int, Field(ge=1, le=65535)]
Title = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[ -\[\]-~]*[!-\[\]-~][ -\[\]-~]*$")]
"""An application entity title (PS3.5 6.2, AE)."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Level = Literal["weak", "moderate", "strong"]


class _Section(BaseModel):
    """A part of the file in which only known keys may stand."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"needs keys and values; allowed: {', '.join(cls.model_fields)}")
        unknown = [str(key) for key in value if key not in cls.model_fields]
        if unknown:
            hint = "; secrets are read from files or from the environment" if {"password", "token"} & {*unknown} else ""
            raise ValueError(f"does not know {', '.join(unknown)}; allowed: {', '.join(cls.model_fields)}{hint}")
        return value


class WebRule(_Section):
    """What is reached over HTTP.

    Attributes:
        url: where; without user and password.
        user, password_file, password_env: for Basic authentication.
        token_file: of a bearer token.
        ca_file: certificates to trust instead of the system's. client_certificate, client_key: to show.
        plain_http: secrets may go over an unencrypted connection that leaves this machine.
        connect, answer: time-outs of connecting and of the silence between two parts of an answer.
    """

    name: Name
    url: str
    user: str | None = None
    password_file: File | None = None
    password_env: str | None = None
    token_file: File | None = None
    ca_file: File | None = None
    client_certificate: File | None = None
    client_key: File | None = None
    plain_http: bool = False
    connect: Duration = 10.0
    answer: Duration = 60.0

    @model_validator(mode="after")
    def _check_access(self) -> WebRule:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url is none of http://HOST... and https://HOST...")
        if parts.username or parts.password:
            raise ValueError("url holds a user or password; state user and password_file instead")
        if parts.query or parts.fragment:
            raise ValueError("url holds ? or #; state the address of the service alone")
        if (self.password_file is not None) + (self.password_env is not None) != (self.user is not None):
            raise ValueError("user needs one of password_file and password_env, and they need it")
        if self.user is not None and self.token_file is not None:
            raise ValueError("user and token_file exclude each other")
        secret = self.user is not None or self.token_file is not None
        if secret and parts.scheme == "http" and parts.hostname not in _LOOPBACK and not self.plain_http:
            raise ValueError(
                "would send a secret unencrypted; use https://, or state plain_http: true if it stays safe"
            )
        return self

    def password(self) -> str | None:
        """The password, read now; None where no user is stated.

        Raises:
            RulesError: its file or variable is missing.
        """
        if self.password_env is not None:
            if self.password_env not in os.environ:
                raise RulesError(f"environment variable {self.password_env}", "is not set", f"{self.name} needs it")
            return os.environ[self.password_env]
        return None if self.password_file is None else _secret(self.password_file)

    def token(self) -> str | None:
        """The bearer token, read now, so that a renewed one is used; None where there is none."""
        return None if self.token_file is None else _secret(self.token_file)

    def check_certificates(self) -> None:
        """See whether those that are stated can be used.

        Raises:
            RulesError: a file is missing, may not be read, or does not hold what it should.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.client_certificate is not None:
            load_identity(context, self.client_certificate, self.client_key or self.client_certificate)
        if self.ca_file is not None:
            load_authorities(context, self.ca_file)


class Tls(_Section):
    """TLS of a DIMSE connection: our certificate and key, and whose certificates the other side's must be from."""

    certificate: File
    key: File
    ca_file: File


class OrthancRule(WebRule):
    """An Orthanc, watched through its list of changes."""

    kind: Literal["orthanc"]
    poll: Duration = 5.0


class DicomwebRule(WebRule):
    """Any archive with QIDO-RS and WADO-RS: studies of the last days are asked for again and again."""

    kind: Literal["dicomweb"]
    poll: Duration = 30.0
    days: Annotated[int, Field(ge=0, le=3650)] = 7
    page: Annotated[int, Field(ge=1, le=10_000)] = 200


class ListenerRule(_Section):
    """Our own storage SCP.

    Attributes:
        callers: titles that may call; nobody else may.
        associations: at a time. largest_pdu: bytes. largest_instance: bytes.
        silence: after which a caller is hung up on.
    """

    kind: Literal["dimse"]
    name: Name
    host: str = "127.0.0.1"
    port: Port
    title: Title = "LOWLIGHT"
    callers: Annotated[tuple[Title, ...], Field(min_length=1), BeforeValidator(_texts)]
    associations: Annotated[int, Field(ge=1, le=1000)] = 10
    largest_pdu: Annotated[int, Field(ge=4096, le=1_048_576)] = 65_536
    largest_instance: Annotated[int, Field(ge=1_000_000)] = 2_000_000_000
    silence: Duration = 30.0
    tls: Tls | None = None


class StowRule(WebRule):
    """Results are stored by STOW-RS and read back by WADO-RS."""

    kind: Literal["stow"]


class CStoreRule(_Section):
    """Results are stored by C-STORE and read back by C-GET.

    Attributes:
        title: of the archive. calling: ours.
        commitment: also wait until the archive commits itself to keep them (PS3.4 J); it answers to our listener.
        commitment_patience: after which it is asked again.
    """

    kind: Literal["cstore"]
    name: Name
    host: str
    port: Port
    title: Title
    calling: Title = "LOWLIGHT"
    commitment: bool = False
    commitment_patience: Duration = 600.0
    connect: Duration = 10.0
    answer: Duration = 60.0
    tls: Tls | None = None


class Rule(_Section):
    """Which images get a derived series, how, and where it goes. What is not stated does not matter.

    Attributes:
        modalities, stations, body_parts, descriptions: what Modality, Station Name, Body Part Examined, and one of
            Series and Study Description have to be.
        minimum_severity: nothing is made below it: one level for every artifact, or a level for each that counts.
        brightness, denoise: strengths; without, the bundle's own.
        destination: name of one. retention: how long our own copies stay after the result was verified.
    """

    name: Name
    modalities: Patterns = ()
    stations: Patterns = ()
    body_parts: Patterns = ()
    descriptions: Patterns = ()
    minimum_severity: Level | Mapping[str, Level] = "weak"
    brightness: Annotated[float, Field(ge=0, le=1.5, allow_inf_nan=False)] | None = None
    denoise: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    destination: Name
    retention: Duration = 0.0

    @model_validator(mode="after")
    def _check(self) -> Rule:
        measuring = [name for name in self.modalities if name.upper() in MEASURING]
        if measuring:
            raise ValueError(f"modalities names {', '.join(measuring)}, whose values are measured: never enhanced")
        artifacts = thresholds().scales
        if isinstance(self.minimum_severity, Mapping):
            unknown = [name for name in self.minimum_severity if name not in artifacts]
            if unknown or not self.minimum_severity:
                named = ", ".join(unknown) or "nothing"
                raise ValueError(f"minimum_severity names {named}; allowed: {', '.join(artifacts)}")
        return self

    def may_match(self, attributes: Attributes) -> bool:
        """Whether it applies to an instance, as far as is known."""
        descriptions = [attributes.get("SeriesDescription"), attributes.get("StudyDescription")]
        wanted = (
            (self.modalities, [attributes.get("Modality")]),
            (self.stations, [attributes.get("StationName")]),
            (self.body_parts, [attributes.get("BodyPartExamined")]),
            (self.descriptions, descriptions),
        )
        return all(not patterns or None in values or _fits(patterns, values) for patterns, values in wanted)

    def wants(self, severities: Mapping[str, str]) -> bool:
        """Whether an image with these severities, by artifact, is damaged enough."""
        limits = self.minimum_severity
        least = dict.fromkeys(severities, limits) if isinstance(limits, str) else limits
        return any(
            severities.get(artifact) in LEVELS and LEVELS.index(severities[artifact]) >= LEVELS.index(level)
            for artifact, level in least.items()
        )


class Timing(_Section):
    """When things happen.

    Attributes:
        quiet: a series without a new instance for so long is complete.
        retry, longest_retry: first and longest pause after a failure; it doubles in between.
        attempts: refusals of one instance after which it is put into quarantine.
    """

    quiet: Duration = 60.0
    retry: Duration = 5.0
    longest_retry: Duration = 900.0
    attempts: Annotated[int, Field(ge=1, le=1000)] = 10


class Health(_Section):
    """Where health and metrics are told."""

    host: str = "127.0.0.1"
    port: Port


SourceRule = Annotated[OrthancRule | DicomwebRule | ListenerRule, Field(discriminator="kind")]
DestinationRule = Annotated[StowRule | CStoreRule, Field(discriminator="kind")]


class Rules(_Section):
    """All of the file.

    Attributes:
        folder: where state and copies are kept.
        dry_run: say what would be done, and change nothing anywhere.
        limits: what one DICOM file may cost, as in `lowlight enhance --limit`.
    """

    folder: File
    dry_run: bool = False
    sources: Annotated[tuple[SourceRule, ...], Field(min_length=1, strict=False)]
    destinations: Annotated[tuple[DestinationRule, ...], Field(min_length=1, strict=False)]
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, strict=False)]
    timing: Timing = Timing()
    health: Health | None = None
    limits: Patterns = ()
    device: Annotated[str, BeforeValidator(_device)] = "auto"

    @model_validator(mode="after")
    def _check(self) -> Rules:
        for key, parts in (("sources", self.sources), ("destinations", self.destinations), ("rules", self.rules)):
            names = [part.name for part in parts]
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"{key} has two with the name {', '.join(sorted(twice))}")
        names = [part.name for part in self.destinations]
        for rule in self.rules:
            if rule.destination not in names:
                raise ValueError(
                    f"rules names the destination {rule.destination}, which is none; allowed: {', '.join(names)}"
                )
        listens = any(isinstance(source, ListenerRule) for source in self.sources)
        if any(isinstance(part, CStoreRule) and part.commitment for part in self.destinations) and not listens:
            raise ValueError("commitment needs a source of kind dimse, where the archive's answer arrives")
        _ = self.reading_limits
        return self

    @property
    def reading_limits(self) -> Limits:
        """What one DICOM file may cost."""
        return DEFAULT.raised(self.limits)

    def first(self, attributes: Attributes) -> Rule | None:
        """The first rule that applies to an instance, as far as is known; None if none can."""
        if (attributes.get("Modality") or "") in MEASURING:
            return None
        return next((rule for rule in self.rules if rule.may_match(attributes)), None)

    def named(self, name: str) -> Rule | None:
        """The rule of this name."""
        return next((rule for rule in self.rules if rule.name == name), None)


class _TwiceError(yaml.constructor.ConstructorError):
    """A key that stands in one section twice, of which YAML itself would forget the first."""


class _KeysOnce(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Of SafeLoader."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        for index, (key, _) in enumerate(node.value):
            if key.value in names[:index]:
                raise _TwiceError(None, None, f"the key {key.value}", key.start_mark)
        return super().construct_mapping(node, deep)


def load(path: Path) -> Rules:
    """Read and check the file.

    Raises:
        RulesError: it cannot be read, is no YAML, or something in it is not allowed; every fault is named.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _KeysOnce)
    except OSError as error:
        raise RulesError(path, f"cannot be read ({error.strerror})", "check its name and permissions") from None
    except UnicodeDecodeError:
        raise RulesError(path, "is no text in UTF-8", "save it again as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" in line {mark.line + 1}"
        if isinstance(error, _TwiceError):
            raise RulesError(path, f"has {error.problem} twice{where}", "only one of them would count") from None
        raise RulesError(path, f"is no valid YAML{where}", "check indentation, colons and quotes there") from None
    try:
        return Rules.model_validate(content, context=path.parent)
    except ValidationError as error:
        raise RulesError(path, " | ".join(_faults(error)), "docs/pacs.md has an example") from None


def _faults(error: ValidationError) -> list[str]:
    """Every fault with its key. A list whose parts are at fault is not told to be empty as well."""
    places = [(_place(fault["loc"]), fault) for fault in error.errors()]
    faulty = [place for place, fault in places if fault["type"] != "too_short"]
    kept = (
        (place, fault)
        for place, fault in places
        if fault["type"] != "too_short" or not any(one.startswith(f"{place}[") for one in faulty)
    )
    return list(dict.fromkeys(f"{place}: {_told(fault)}" for place, fault in kept))


def _place(location: tuple[int | str, ...]) -> str:
    """The key as it stands in the file: sources[0].url. pydantic adds the kind and types, which do not."""
    place = ""
    for part in location:
        if isinstance(part, int):
            place += f"[{part}]"
        elif re.fullmatch(r"[a-z][a-z_]*", part) and part not in ("orthanc", "dicomweb", "dimse", "stow", "cstore"):
            place += f".{part}" if place else part
    return place or "file"


def _told(fault: Any) -> str:
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    if fault["type"] == "missing":
        return "is missing"
    message = fault["msg"]
    given = fault.get("input")
    shown = f"{given!r}: " if isinstance(given, str | int | float) and len(str(given)) < 60 else ""
    return shown + message[0].lower() + message[1:]


def load_identity(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Have TLS show a certificate.

    Raises:
        RulesError: certificate or key cannot be read, or do not belong together.
    """
    for file in (certificate, key):
        _check_readable(file)
    try:
        # An empty password: a key that is encrypted must not make us ask for one.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        fault = f"cannot be used for TLS ({getattr(error, 'reason', None) or 'damaged'})"
        raise RulesError(
            certificate, fault, f"a certificate is expected there, and its key, unencrypted, in {key}, both as PEM"
        ) from None


def load_authorities(context: ssl.SSLContext, file: Path) -> None:
    """Have TLS trust what these authorities sign.

    Raises:
        RulesError: the file cannot be read, or holds no certificates.
    """
    _check_readable(file)
    try:
        context.load_verify_locations(file)
    except (OSError, ssl.SSLError):
        raise RulesError(
            file, "holds no certificates", "those of the authorities to trust are expected as PEM"
        ) from None


def _check_readable(file: Path) -> None:
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise RulesError(file, f"cannot be read ({error.strerror})", "it is needed for TLS") from None


def _fits(patterns: tuple[str, ...], values: list[str | None]) -> bool:
    return any(
        fnmatch.fnmatchcase((value or "").strip().casefold(), pattern.casefold())
        for value in values
        for pattern in patterns
    )


def _secret(path: Path) -> str:
    try:
        # Editors of Windows begin a text with a mark that is no part of the secret.
        with path.open(encoding="utf-8-sig") as stream:
            content = stream.read(_LARGEST_SECRET).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise RulesError(path, f"cannot be read ({reason})", "a secret is expected in it") from None
    if not content or "\n" in content or "\r" in content:
        raise RulesError(path, "does not hold one line", "put the secret alone into it")
    return content
