"""BPF instructions (RFC 9669) from Python, with labels and named maps. Pure.

A program is some fifty instructions here; a compiler as a build dependency comes with the eBPF
data plane.
"""

import struct
from collections.abc import Mapping

_INSTRUCTION = struct.Struct("=BBhi")
_PSEUDO_MAP_FD = 1
_FRAME = 10

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9 = range(10)

_SIZES = {8: 0x10, 16: 0x08, 32: 0x00, 64: 0x18}
_JUMPS = {"==": 0x10, "!=": 0x50}


class Program:
    """Instructions in order; `label` names the next one."""

    def __init__(self) -> None:
        self._instructions: list[tuple[int, int, int, str | None, int | str]] = []
        self._labels: dict[str, int] = {}

    def label(self, name: str) -> None:
        self._labels[name] = len(self._instructions)

    def set(self, register: int, value: int) -> None:
        self._add(0xB7, register, immediate=value)

    def copy(self, register: int, source: int) -> None:
        self._add(0xBF, register | source << 4)

    def frame_address(self, register: int, offset: int) -> None:
        """The address of what stands at this (negative) offset on the stack."""
        self.copy(register, _FRAME)
        self._add(0x07, register, immediate=offset)

    def load(self, register: int, base: int, offset: int, bits: int) -> None:
        self._add(0x61 | _SIZES[bits], register | base << 4, offset)

    def store(self, offset: int, source: int, bits: int) -> None:
        """A register onto the stack."""
        self._add(0x63 | _SIZES[bits], _FRAME | source << 4, offset)

    def store_number(self, offset: int, value: int, bits: int) -> None:
        self._add(0x62 | _SIZES[bits], _FRAME, offset, immediate=value)

    def keep_bits(self, register: int, mask: int) -> None:
        self._add(0x57, register, immediate=mask)

    def map(self, register: int, name: str) -> None:
        """A 64-bit load, two instructions long, of the address of a map."""
        self._add(0x18, register | _PSEUDO_MAP_FD << 4, immediate=name)
        self._add(0)

    def call(self, helper: int) -> None:
        self._add(0x85, immediate=helper)

    def go_if(self, register: int, relation: str, value: int, label: str) -> None:
        self._instructions.append((0x05 | _JUMPS[relation], register, 0, label, value))

    def go(self, label: str) -> None:
        self._instructions.append((0x05, 0, 0, label, 0))

    def exit(self) -> None:
        self._add(0x95)

    def assemble(self, maps: Mapping[str, int]) -> bytes:
        """`maps`: descriptor by name."""
        code = b""
        for place, (operation, registers, offset, label, value) in enumerate(self._instructions):
            jump = offset if label is None else self._labels[label] - place - 1
            immediate = maps[value] if isinstance(value, str) else value
            code += _INSTRUCTION.pack(operation, registers, jump, immediate)
        return code

    def _add(
        self, operation: int, registers: int = 0, offset: int = 0, *, immediate: int | str = 0
    ) -> None:
        self._instructions.append((operation, registers, offset, None, immediate))
