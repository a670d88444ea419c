"""Checksum offload: a tag or tunnel header makes the kernel's promise of a later checksum void."""

import ctypes
import errno
import fcntl
import socket
import struct

_SIOCETHTOOL, _ETHTOOL_STXCSUM = 0x8946, 0x17


def disable_checksum_offload(name: str) -> None:
    """Of an interface in the calling thread's namespace."""
    value = struct.pack("=II", _ETHTOOL_STXCSUM, 0)
    buffer = ctypes.create_string_buffer(value, len(value))
    request = struct.pack("@16sP16x", name.encode(), ctypes.addressof(buffer))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            fcntl.ioctl(any_socket, _SIOCETHTOOL, request)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:  # hardware that has none to turn off
                raise
