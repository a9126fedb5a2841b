"""The `destinations:` part of rules.yaml: where results go, how often it is tried, what may go there."""

from __future__ import annotations

import re
from datetime import timedelta
from string import Formatter
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator
from pydicom.datadict import keyword_dict, tag_for_keyword

from node.config.identity import Identity
from node.config.section import Section, suggestion
from node.config.tls import DestinationTls
from node.config.values import AETitle, Count, FilePath, PositiveDuration, RemoteAE, Shown, Text
from node.model import Disclosure


class Retry(Section):
    """When a failed delivery is tried again; see node/retry.py."""

    first: PositiveDuration = timedelta(seconds=10)
    """Wait after the first failure."""
    factor: Annotated[float, Field(ge=1, le=100), Shown("number from 1")] = 2.0
    """Each wait is so many times the one before."""
    at_most: PositiveDuration = timedelta(hours=1)
    """Longest wait."""
    give_up: PositiveDuration = timedelta(days=14)
    """Time after the first failure when a delivery is held for a person."""

    @model_validator(mode="after")
    def _check(self) -> Retry:
        if self.first > self.at_most:
            raise ValueError("`first` is longer than `at_most`")
        return self


def _layout(text: str) -> str:
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"layout: {error}") from None
    for _, keyword, spec, conversion in parts:
        if keyword is None:
            continue
        if spec or conversion or not re.fullmatch(r"[A-Za-z0-9]+", keyword):
            raise ValueError(f'layout: "{{{keyword}}}" must be a keyword alone, such as {{Modality}}')
        if tag_for_keyword(keyword) is None:
            raise ValueError(f'layout: unknown keyword "{keyword}".{suggestion(keyword, keyword_dict)}')
    if text.startswith("/") or "\\" in text or "\0" in text or any(p in ("", ".", "..") for p in text.split("/")):
        raise ValueError("layout must be folders below the destination: no leading /, no empty part, no . or ..")
    return text


class Destination(Section):
    """Where results go: an application entity (`dicom`) or a folder (`folder`)."""

    dicom: RemoteAE | None = None
    """An application entity that DICOM instances are sent to."""
    folder: FilePath | None = None
    """A folder that files are put in."""
    accepts: Disclosure | None = None
    """What may go there. Required where any route anonymizes; checked again at delivery."""
    as_: Annotated[AETitle | None, Field(alias="as")] = None
    """Our calling AE title there; default: the first of `node.ae_title`."""
    concurrent: Count = 2
    """Deliveries at the same time."""
    associations: Count = 2
    """Associations at the same time for one delivery of 100 instances and more, or as many as the peer takes."""
    retry: Retry = Retry()
    """When a failed delivery is tried again."""
    timeout: PositiveDuration = timedelta(seconds=60)
    """Longest wait for the peer's answer."""
    tls: DestinationTls | None = None
    """TLS to an application entity; without it DICOM travels in clear. `tls: {}` trusts whom the system trusts."""
    identity: Identity | None = None
    """User identity that we send to an application entity that asks for one."""
    layout: Annotated[Text, AfterValidator(_layout), Shown("text with {Keyword}")] = (
        "{StudyInstanceUID}/{SeriesInstanceUID}"
    )
    """Folders below `folder`, by the attributes of the instance."""

    @model_validator(mode="after")
    def _check(self) -> Destination:
        if (self.dicom is None) == (self.folder is None):
            raise ValueError("a destination is either `dicom: AE@host:port` or `folder: path`")
        if self.folder is not None and self.as_ is not None:
            raise ValueError("`as` is for an application entity; a folder has no AE title")
        if self.folder is not None and (self.tls is not None or self.identity is not None):
            raise ValueError("`tls` and `identity` are for an application entity")
        if self.dicom is not None and "layout" in self.model_fields_set:
            raise ValueError("`layout` is for a folder")
        return self
