import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netwright.agent.ovs.framing import FramingError, JsonFramer

text = st.text(alphabet='ab{}[]"\\é\n')
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=12,
)
messages = st.dictionaries(text, json_values)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a loaded machine
@given(sent=st.lists(messages, max_size=4), data=st.data(), ascii_only=st.booleans())
def test_messages_split_anywhere_come_out_whole(
    *, sent: list[object], data: st.DataObject, ascii_only: bool
) -> None:
    stream = b"".join(json.dumps(item, ensure_ascii=ascii_only).encode() for item in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    framer = JsonFramer()
    received = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += framer.feed(stream[start:end])
    assert [json.loads(frame) for frame in received] == sent


def test_one_byte_at_a_time() -> None:
    text = json.dumps([{"a": 'x\\"}{'}, {}]).encode()[1:-1].replace(b", {}", b"\n{}")
    framer = JsonFramer()
    frames = [frame for byte in text for frame in framer.feed(bytes([byte]))]
    assert [json.loads(frame) for frame in frames] == [{"a": 'x\\"}{'}, {}]


def test_a_large_monitor_reply_is_scanned_in_linear_time() -> None:
    rows = {f"{i:036}": {"new": {"name": f"tap{i}", "x": '"\\' * 50}} for i in range(20_000)}
    text = json.dumps({"id": 1, "result": {"Port": rows}, "error": None}).encode()
    framer = JsonFramer()
    started = time.process_time()
    frames = [
        frame for at in range(0, len(text), 65536) for frame in framer.feed(text[at : at + 65536])
    ]
    assert frames == [text]
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize("garbage", [b"}", b"HTTP/1.1 400", b"{}]"])
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(FramingError):
        JsonFramer().feed(garbage)


def test_a_message_without_end_is_refused() -> None:
    framer = JsonFramer(message_bytes_max=1000)
    with pytest.raises(FramingError, match="longer than 1000"):
        framer.feed(b'{"a": "' + b"x" * 1000)
