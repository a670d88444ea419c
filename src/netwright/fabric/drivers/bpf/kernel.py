"""bpf(2): maps and programs, by descriptor or by the kernel's id. Blocks not; needs CAP_BPF."""

import ctypes
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import suppress

from netwright.fabric.drivers.bpf.programs import MapForm

_NUMBERS = {"x86_64": 321, "aarch64": 280}
_MAP_CREATE, _UPDATE, _DELETE, _LOAD, _LOOK_UP_BATCH = 0, 2, 3, 5, 24
_TEST_RUN, _PROGRAM_BY_ID, _MAP_BY_ID, _INFO = 10, 13, 14, 15
_HASH, _NO_PREALLOCATION, _SCHED_CLS = 1, 1, 3
_MAPS_PER_PROGRAM = 16
_LOG_SIZE = 1 << 16
_BATCH = 4096

_libc = ctypes.CDLL(None, use_errno=True)


class Map:
    """A hash of bytes to bytes in the kernel; the descriptor is this object's."""

    def __init__(self, descriptor: int, form: MapForm) -> None:
        self.descriptor = descriptor
        self._form = form

    def close(self) -> None:
        os.close(self.descriptor)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All, some thousands a call; whoever changes it meanwhile is the same driver."""
        key_size, value_size = self._form.key_size, self._form.value_size
        keys = ctypes.create_string_buffer(key_size * _BATCH)
        values = ctypes.create_string_buffer(value_size * _BATCH)
        place = ctypes.create_string_buffer(max(key_size, 8))
        at, more = 0, True
        while more:
            addresses = (ctypes.addressof(each) for each in (place, keys, values))
            batch = struct.pack("=QQQQIIQQ", at, *addresses, _BATCH, self.descriptor, 0, 0)
            arguments = ctypes.create_string_buffer(batch, 128)
            try:
                _syscall(_LOOK_UP_BATCH, arguments)
            except FileNotFoundError:  # these are the last
                more = False
            count = struct.unpack_from("=I", arguments.raw, 32)[0]
            for n in range(count):
                key = keys.raw[n * key_size : (n + 1) * key_size]
                yield key, values.raw[n * value_size : (n + 1) * value_size]
            at = ctypes.addressof(place)

    def put(self, key: bytes, value: bytes) -> None:
        held = ctypes.create_string_buffer(value, self._form.value_size)
        self._call(_UPDATE, key, ctypes.addressof(held))

    def delete(self, key: bytes) -> None:
        """An absent key is no error."""
        with suppress(FileNotFoundError):
            self._call(_DELETE, key, 0)

    def _call(self, command: int, key: bytes, value: int) -> None:
        held = ctypes.create_string_buffer(key, self._form.key_size)
        arguments = (self.descriptor, 0, ctypes.addressof(held), value, 0)
        _bpf(command, struct.pack("=IIQQQ", *arguments))


def create_map(form: MapForm) -> Map:
    head = struct.pack(
        "=IIIIIIII",
        _HASH,
        form.key_size,
        form.value_size,
        form.capacity,
        _NO_PREALLOCATION,
        0,
        0,
        0,
    )
    return Map(_bpf(_MAP_CREATE, head[:28] + _name(form.name)), form)


def load(name: str, code: bytes) -> int:
    """A program for tc. Raises OSError with the verifier's last words."""
    instructions = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    log = ctypes.create_string_buffer(_LOG_SIZE)
    for verbose in (0, 1):
        arguments = struct.pack(
            "=IIQQIIQII", _SCHED_CLS, len(code) // 8, ctypes.addressof(instructions),
            ctypes.addressof(licence), verbose, _LOG_SIZE if verbose else 0,
            ctypes.addressof(log) if verbose else 0, 0, 0,
        )  # fmt: skip
        try:
            return _bpf(_LOAD, arguments + _name(name))
        except OSError as error:
            if verbose:
                said = log.value.decode(errors="replace").strip().splitlines()[-4:]
                raise OSError(error.errno, f"BPF program {name}: {'; '.join(said)}") from error
    raise AssertionError


def run(program: int, frame: bytes) -> tuple[int, bytes]:
    """What the program says of a frame, and what it makes of it (BPF_PROG_TEST_RUN).

    The frame's interface is the loopback's.
    """
    given, made = (ctypes.create_string_buffer(frame, len(frame)) for _ in range(2))
    places = (ctypes.addressof(given), ctypes.addressof(made))
    arguments = ctypes.create_string_buffer(
        struct.pack("=IIIIQQII", program, 0, len(frame), len(frame), *places, 1, 0), 80
    )
    _syscall(_TEST_RUN, arguments)
    return int(struct.unpack_from("=I", arguments.raw, 4)[0]), made.raw


def program_by_id(number: int) -> int:
    return _bpf(_PROGRAM_BY_ID, struct.pack("=III", number, 0, 0))


def maps_of(program: int, forms: tuple[MapForm, ...]) -> dict[str, Map]:
    """Those of a program's maps that have these names."""
    ids = ctypes.create_string_buffer(4 * _MAPS_PER_PROGRAM)
    info = bytearray(
        _info(program, struct.pack("=52xIQ", _MAPS_PER_PROGRAM, ctypes.addressof(ids)))
    )
    count = struct.unpack_from("=I", info, 52)[0]
    by_name = {form.name: form for form in forms}
    found = {}
    for number in struct.unpack_from(f"={count}I", ids.raw):
        descriptor = _bpf(_MAP_BY_ID, struct.pack("=III", number, 0, 0))
        name = _info(descriptor, b"")[24:40].rstrip(b"\0").decode()
        if name in by_name:
            found[name] = Map(descriptor, by_name[name])
        else:
            os.close(descriptor)
    return found


def _info(descriptor: int, content: bytes) -> bytes:
    info = ctypes.create_string_buffer(content, 256)
    _bpf(_INFO, struct.pack("=IIQ", descriptor, len(info), ctypes.addressof(info)))
    return info.raw


def _name(name: str) -> bytes:
    """As an object of the kernel may have it: letters, digits and _, 15 of them."""
    return name.encode()[:15].ljust(16, b"\0")


def _bpf(command: int, arguments: bytes) -> int:
    return _syscall(command, ctypes.create_string_buffer(arguments, max(len(arguments), 128)))


def _syscall(command: int, arguments: "ctypes.Array[ctypes.c_char]") -> int:
    number = _NUMBERS[platform.machine()]
    result = _libc.syscall(number, command, ctypes.byref(arguments), len(arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"bpf(2) command {command}: {os.strerror(code)}")
    return int(result)
