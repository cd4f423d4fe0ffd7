import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_records import bytes_feature, example, field, float_feature, integer_feature, masked, record
from small_records import masked_crc32c as bit_by_bit

from vtab_harness.formats.tfrecord import masked_crc32c, parse_example, records


# From RFC 3720, appendix B.4.
@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_published_checksums(data: bytes, checksum: int) -> None:
    assert masked_crc32c(data) == masked(checksum)


@pytest.mark.parametrize("size", [1, 511, 512, 513, 1024, 1600])
def test_blocks_and_remainders(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    assert masked_crc32c(data) == bit_by_bit(data)


def test_mask_keeps_32_bits() -> None:
    assert masked(0) == 0xA282EAD8
    assert masked(0xFFFFFFFF) == (0xFFFFFFFF + 0xA282EAD8) & 0xFFFFFFFF


def test_reads_records() -> None:
    contents = [b"", b"one", bytes(2000)]
    assert list(records(io.BytesIO(b"".join(map(record, contents))))) == contents
    assert list(records(io.BytesIO(b""))) == []


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 15, 16, 18])
def test_cut_off_file_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="ends within record 1"):
        list(records(io.BytesIO((record(b"first") + record(b"second"))[:-cut])))


@given(st.integers(0, 8 * len(record(b"content")) - 1))
def test_every_changed_bit_is_noticed(bit: int) -> None:
    data = bytearray(record(b"content"))
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match="record 0"):
        list(records(io.BytesIO(bytes(data))))


def test_claimed_length_is_not_believed() -> None:
    head = struct.pack("<Q", 1 << 60)
    with pytest.raises(ValueError, match="damaged length"):
        list(records(io.BytesIO(head + struct.pack("<I", masked_crc32c(head)) + b"text")))


@pytest.mark.parametrize("packed", [True, False])
def test_parses_examples(packed: bool) -> None:
    data = example(
        name=bytes_feature(b"first", b""),
        label=integer_feature(5, 300, -1, packed=packed),
        weight=float_feature(1.5, -0.25),
    )
    assert parse_example(data) == {"name": [b"first", b""], "label": [5, 300, -1], "weight": [1.5, -0.25]}
    assert parse_example(b"") == {}


def test_floats_may_be_cut_or_single() -> None:
    single = field(2, b"".join(b"\x0d" + struct.pack("<f", value) for value in (0.5, 2.0)))
    assert parse_example(example(weight=single)) == {"weight": [0.5, 2.0]}
    with pytest.raises(ValueError, match="no Example"):
        parse_example(example(weight=field(2, field(1, b"abc"))))


@given(st.binary(max_size=200))
def test_anything_else_is_refused_or_empty(data: bytes) -> None:
    try:
        parse_example(data)
    except ValueError:
        return


@given(st.data())
def test_damaged_examples_never_raise_anything_else(data: st.DataObject) -> None:
    message = bytearray(example(name=bytes_feature(b"first"), label=integer_feature(5, packed=True)))
    message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse_example(bytes(message[: data.draw(st.integers(0, len(message)))]))
    except ValueError:
        return
