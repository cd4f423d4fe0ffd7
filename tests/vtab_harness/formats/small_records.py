"""Writes TFRecord files with ``tf.train.Example`` messages, byte by byte."""

import struct


def masked_crc32c(data: bytes) -> int:
    """The checksum bit by bit, independent of the reader's."""
    checksum = 0xFFFFFFFF
    for byte in data:
        checksum ^= byte
        for _ in range(8):
            checksum = checksum >> 1 ^ (0x82F63B78 if checksum & 1 else 0)
    return masked(checksum ^ 0xFFFFFFFF)


def masked(checksum: int) -> int:
    return ((checksum >> 15 | (checksum << 17 & 0xFFFFFFFF)) + 0xA282EAD8) % (1 << 32)


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def bytes_feature(*values: bytes) -> bytes:
    return field(1, b"".join(field(1, value) for value in values))


def float_feature(*values: float) -> bytes:
    return field(2, field(1, struct.pack(f"<{len(values)}f", *values)))


def integer_feature(*values: int, packed: bool = True) -> bytes:
    if packed:
        return field(3, field(1, b"".join(map(varint, values))))
    return field(3, b"".join(varint(1 << 3) + varint(value) for value in values))


def example(**features: bytes) -> bytes:
    entries = (field(1, field(1, name.encode()) + field(2, feature)) for name, feature in features.items())
    return field(1, b"".join(entries))


def record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return b"".join(
        [
            length,
            struct.pack("<I", masked_crc32c(length)),
            content,
            struct.pack("<I", masked_crc32c(content)),
        ]
    )
