"""Maps of BPF programs read, and written, by bpf(2) itself: for who believes nobody else's word."""

import ctypes
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import contextmanager

NUMBER = {"x86_64": 321, "aarch64": 280}
LOOK_UP, UPDATE, DELETE, NEXT_KEY, PROGRAM_BY_ID, MAP_BY_ID, INFO = 1, 2, 3, 4, 13, 14, 15
MAPS_MAX = 16
MAP_IDS_AT, KEY_SIZE_AT, VALUE_SIZE_AT, NAME_AT, NAME_SIZE = 52, 8, 12, 24, 16
"""In struct bpf_prog_info, and in struct bpf_map_info."""

_libc = ctypes.CDLL(None, use_errno=True)


class BpfMap:
    """A hash in the kernel, of bytes to bytes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        info = _info(descriptor)
        self._key_size, self._value_size = struct.unpack_from("=II", info, KEY_SIZE_AT)
        self.name = info[NAME_AT : NAME_AT + NAME_SIZE].rstrip(b"\0").decode()

    def content(self) -> dict[bytes, bytes]:
        """What it has, as far as nobody changes it meanwhile: then some of it may lack."""
        return {key: value for key in list(self._keys()) if (value := self._value(key)) is not None}

    def put(self, key: bytes, value: bytes) -> None:
        self._call(UPDATE, key, ctypes.create_string_buffer(value, self._value_size))

    def delete(self, key: bytes) -> None:
        self._call(DELETE, key, ctypes.create_string_buffer(1))

    def _keys(self) -> Iterator[bytes]:
        key: bytes | None = None
        following = ctypes.create_string_buffer(self._key_size)
        while True:
            try:
                self._call(NEXT_KEY, key, following)
            except FileNotFoundError:
                return
            key = following.raw
            yield key

    def _value(self, key: bytes) -> bytes | None:
        value = ctypes.create_string_buffer(self._value_size)
        try:
            self._call(LOOK_UP, key, value)
        except FileNotFoundError:
            return None
        return value.raw

    def _call(self, command: int, key: bytes | None, other: "ctypes.Array[ctypes.c_char]") -> None:
        held = None if key is None else ctypes.create_string_buffer(key, self._key_size)
        place = 0 if held is None else ctypes.addressof(held)
        arguments = (self._descriptor, 0, place, ctypes.addressof(other), 0)
        _bpf(command, struct.pack("=IIQQQ", *arguments))


@contextmanager
def maps_of(program: int) -> Iterator[dict[str, BpfMap]]:
    """A program's maps by name; `program` is its number in the kernel. OSError: it is gone."""
    descriptors = [_by_id(PROGRAM_BY_ID, program)]
    try:
        descriptors.extend(_by_id(MAP_BY_ID, number) for number in _map_ids(descriptors[0]))
        maps = [BpfMap(one) for one in descriptors[1:]]
        yield {one.name: one for one in maps}
    finally:
        for one in descriptors:
            os.close(one)


def _map_ids(program: int) -> tuple[int, ...]:
    ids = ctypes.create_string_buffer(4 * MAPS_MAX)
    asked = struct.pack(f"={MAP_IDS_AT}xIQ", MAPS_MAX, ctypes.addressof(ids))
    (count,) = struct.unpack_from("=I", _info(program, asked), MAP_IDS_AT)
    return struct.unpack_from(f"={count}I", ids.raw)


def _by_id(command: int, number: int) -> int:
    return _bpf(command, struct.pack("=III", number, 0, 0))


def _info(descriptor: int, asked: bytes = b"") -> bytes:
    info = ctypes.create_string_buffer(asked, 256)
    _bpf(INFO, struct.pack("=IIQ", descriptor, len(info), ctypes.addressof(info)))
    return info.raw


def _bpf(command: int, arguments: bytes) -> int:
    held = ctypes.create_string_buffer(arguments, max(len(arguments), 128))
    number = NUMBER[platform.machine()]
    result = _libc.syscall(number, command, ctypes.byref(held), len(held))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"bpf(2) command {command}: {os.strerror(code)}")
    return int(result)
