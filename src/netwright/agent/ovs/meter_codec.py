"""Meters to OpenFlow 1.4 bytes and back: one band, which drops what is too much. Pure."""

import struct

from netwright.agent.ovs.errors import OvsProtocolError
from netwright.agent.ovs.meters import MeterChange
from netwright.agent.ovs.openflow_wire import (
    METER_ALL,
    METER_BAND_DROP,
    METER_FLAGS,
    MULTIPART_METER_CONFIG,
    MULTIPART_MORE,
    MeterCommand,
)
from netwright.agent.ovs.wiring import Rate

_METER_MOD = struct.Struct("!HHI")
_BAND = struct.Struct("!HHII4x")
_CONFIG = struct.Struct("!HHI")
_CONFIG_REQUEST = struct.Struct("!I4x")
_MULTIPART = struct.Struct("!HH4x")
_WITH_STATISTICS = 0x0008


def meter_mod(change: MeterChange) -> bytes:
    """The body of a message that makes, changes or deletes a meter (§7.3.4.5)."""
    if change.rate is None:
        return _METER_MOD.pack(MeterCommand.DELETE, 0, change.number)
    command = MeterCommand.ADD if change.is_new else MeterCommand.MODIFY
    band = _BAND.pack(METER_BAND_DROP, _BAND.size, change.rate.kbps, change.rate.burst_kbits)
    return _METER_MOD.pack(command, METER_FLAGS, change.number) + band


def config_request() -> bytes:
    """The body of a request for all meters (§7.3.5.13)."""
    return _MULTIPART.pack(MULTIPART_METER_CONFIG, 0) + _CONFIG_REQUEST.pack(METER_ALL)


def read_config(body: bytes) -> tuple[dict[int, Rate | None], bool]:
    """The meters of one reply by number, and whether more follows; None: not of our form.

    Raises OvsProtocolError.
    """
    found: dict[int, Rate | None] = {}
    _, more = _MULTIPART.unpack_from(body)
    at = _MULTIPART.size
    try:
        while at < len(body):
            length, flags, number = _CONFIG.unpack_from(body, at)
            found[number] = _rate(flags, body[at + _CONFIG.size : at + length])
            at += max(length, _CONFIG.size)  # so that it ends, whatever is said
    except struct.error as error:
        raise OvsProtocolError(f"meters that cannot be read ({error}): {body.hex()}") from error
    return found, bool(more & MULTIPART_MORE)


def is_config(body: bytes) -> bool:
    return int(_MULTIPART.unpack_from(body)[0]) == MULTIPART_METER_CONFIG


def _rate(flags: int, bands: bytes) -> Rate | None:
    if flags & ~_WITH_STATISTICS != METER_FLAGS or len(bands) != _BAND.size:
        return None
    kind, _, kbps, burst = _BAND.unpack(bands)
    return Rate(kbps, burst) if kind == METER_BAND_DROP else None
