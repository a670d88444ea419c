"""Settings of `netwright fabric run`: table [fabric]."""

from typing import Annotated, TypeAlias

from msgspec import Meta

from netwright.model.settings import Settings

_Address: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^$|^(\[[0-9a-fA-F:.]+\]|[^\[\]:]+):[0-9]{1,5}$",
        description="HOST:PORT with an IPv6 host in brackets",
        examples=["127.0.0.1:50051"],
    ),
]


class ControllerSettings(Settings, frozen=True, kw_only=True):
    """`[fabric]` of the configuration, `NETWRIGHT_FABRIC_*`, the flags of `netwright fabric run`.

    server            the server's URL
    token_file        holds the token of an admin; none for a server that asks for none
    state_directory   holds the controller's store, of this controller alone
    observer          HOST:PORT of a gobgpd's API that is peered with the fabric; "": none, and the
                      leaves' own words are what attachments are verified by
    ssh               the program that switches at `ssh:…` are reached by, with options of yours
    switch_program    what our program is called on such a switch, with what must precede it
    metrics           HOST:PORT where Prometheus finds /metrics; "": nowhere
    holder            how this controller is called where others look; "": host name and process
    """

    server: str = "http://127.0.0.1:9696"
    token_file: str | None = None
    state_directory: Annotated[str, Meta(min_length=1)] = "/var/lib/netwright/fabric"
    observer: _Address = ""
    metrics: _Address = ""
    ssh: Annotated[tuple[str, ...], Meta(min_length=1)] = ("ssh",)
    switch_program: Annotated[tuple[str, ...], Meta(min_length=1)] = ("netwright",)
    holder: Annotated[str, Meta(max_length=200)] = ""

    def __post_init__(self) -> None:
        if not self.server.startswith(("http://", "https://")):
            raise ValueError(f"server is {self.server!r}, but must be a URL: http://HOST:PORT")
