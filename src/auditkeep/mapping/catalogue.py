"""The packaged identifiers (`mapping/data/*.json`, written by `tools/make_keywords.py`).

Each file is read once per process, when first asked for. Identifiers only: no control's text.
"""

from functools import cache
from importlib.resources import files

import msgspec


class CloudTrailData(msgspec.Struct, frozen=True):
    """`aliases`: another name of a service -> its event source prefix; `events`: by prefix."""

    aliases: dict[str, str]
    events: dict[str, list[str]]


class ConfigData(msgspec.Struct, frozen=True):
    """`keywords`: identifiers AWS lists; `names`: a managed rule's default name -> identifier;
    `parameters`: what a rule cannot do without, by identifier and name, with AWS's default if any.
    """

    keywords: list[str]
    names: dict[str, str]
    parameters: dict[str, dict[str, str | None]]


class SecurityHubData(msgspec.Struct, frozen=True):
    """`consolidated`: standard-specific id -> control id, where they differ; `controls`: all
    control ids; `standards`: CIS version -> recommendation -> control id.
    """

    keywords: list[str]
    controls: list[str]
    consolidated: dict[str, str]
    standards: dict[str, dict[str, str]]


class ApiData(msgspec.Struct, frozen=True):
    keywords: list[str]


def _bytes(name: str) -> bytes:
    return (files("auditkeep.mapping") / "data" / name).read_bytes()


@cache
def cloudtrail() -> CloudTrailData:
    return msgspec.json.decode(_bytes("cloudtrail.json"), type=CloudTrailData)


@cache
def config() -> ConfigData:
    return msgspec.json.decode(_bytes("config.json"), type=ConfigData)


@cache
def securityhub() -> SecurityHubData:
    return msgspec.json.decode(_bytes("securityhub.json"), type=SecurityHubData)


@cache
def api() -> ApiData:
    return msgspec.json.decode(_bytes("api.json"), type=ApiData)
