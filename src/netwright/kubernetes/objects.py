"""What is read of Kubernetes' objects: metadata, and which node a pod runs on. Pure.

Lists and watches ask for metadata alone (`meta.k8s.io` PartialObjectMetadata), so that neither
kube-apiserver sends nor we hold what a pod's specification and state are.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

import msgspec

METADATA_OF_ONE = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
METADATA_OF_MANY = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


class _Read(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The base of what comes from the API: keys that are not named here are passed over."""


class Owner(_Read, frozen=True, kw_only=True):
    """One of `metadata.ownerReferences`; a pod's controller is the one with `controller: true`."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False


class Metadata(_Read, frozen=True, kw_only=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    owner_references: tuple[Owner, ...] | None = None
    deletion_timestamp: str | None = None

    @property
    def controller(self) -> Owner | None:
        """What it is a part of, if anything."""
        return next((owner for owner in self.owner_references or () if owner.controller), None)


class Some(_Read, frozen=True, kw_only=True):
    """Any object, by its metadata."""

    metadata: Metadata


class _PodSpecification(_Read, frozen=True, kw_only=True):
    node_name: str = ""


class _PodStatus(_Read, frozen=True, kw_only=True):
    phase: str = ""


class PodObject(_Read, frozen=True, kw_only=True):
    """A pod; `node` is "" before it is scheduled."""

    metadata: Metadata
    spec: _PodSpecification = _PodSpecification()
    status: _PodStatus = _PodStatus()

    @classmethod
    def of(cls, metadata: Metadata, node: str) -> Self:
        """One of a list of the node's pods, by its metadata."""
        return cls(metadata=metadata, spec=_PodSpecification(node_name=node))

    @property
    def node(self) -> str:
        return self.spec.node_name

    @property
    def phase(self) -> str:
        return self.status.phase


class _ListMetadata(_Read, frozen=True, kw_only=True):
    resource_version: str = ""
    next: str = msgspec.field(name="continue", default="")


class Listed(_Read, frozen=True, kw_only=True):
    """A page of a list, or its only one; `metadata.next` asks for the one after it.

    An empty list is `null` there.
    """

    metadata: _ListMetadata
    items: tuple[Some, ...] | None


class Change(StrEnum):
    """A watch event's type."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    ERROR = "ERROR"


class Event(_Read, frozen=True, kw_only=True):
    """A line of a watch. `object` is a `Some`, of an ERROR a `Status`."""

    type: Change
    object: msgspec.Raw


class Status(_Read, frozen=True, kw_only=True):
    """How kube-apiserver refuses (`kind: Status`)."""

    code: int = 0
    reason: str = ""
    message: str = ""


class Resource(_Read, frozen=True, kw_only=True):
    """A kind in discovery (`/apis/GROUP/VERSION`); subresources have a slash in their name."""

    name: str
    kind: str
    namespaced: bool = False


class Resources(_Read, frozen=True, kw_only=True):
    resources: tuple[Resource, ...] = ()
