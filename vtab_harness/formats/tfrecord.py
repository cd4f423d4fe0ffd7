"""Reads TensorFlow's record files and the ``tf.train.Example`` messages in them, without TensorFlow.

A record is its length (8 bytes, little endian), the masked CRC-32C of the length, the content, and the content's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import IO, Any

import google_crc32c
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as _Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

Feature = Sequence[bytes | int | float]

_LISTS: Mapping[str, int] = {
    "bytes_list": _Field.TYPE_BYTES,
    "float_list": _Field.TYPE_FLOAT,
    "int64_list": _Field.TYPE_INT64,
}
"""What a feature may hold, in the order of their numbers."""

_MAX_RECORD = 1 << 27
"""Bytes; believing a damaged length would ask for all memory."""


def masked_crc32c(data: bytes) -> int:
    """Returns the CRC-32C of some bytes as these files store it: rotated by 15 bits, plus a constant."""
    checksum: int = google_crc32c.value(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(file: IO[bytes]) -> Iterator[bytes]:
    """Yields the records of one file.

    Raises:
        ValueError: A checksum is wrong, or the file ends within a record.
    """
    number = 0
    while head := file.read(12):
        if len(head) < 12:
            raise ValueError(f"it ends within record {number}")
        length, checksum = struct.unpack("<QI", head)
        if masked_crc32c(head[:8]) != checksum or length > _MAX_RECORD:
            raise ValueError(f"record {number} has a damaged length, or these are no records")
        content = file.read(length)
        tail = file.read(4)
        if len(content) < length or len(tail) < 4:
            raise ValueError(f"it ends within record {number}")
        if masked_crc32c(content) != int.from_bytes(tail, "little"):
            raise ValueError(f"record {number} has the wrong checksum")
        yield content
        number += 1


def parse_example(data: bytes) -> dict[str, Feature]:
    """Parses a ``tf.train.Example``.

    Returns:
        Feature name -> its values.

    Raises:
        ValueError: It is not such a message.
    """
    try:
        features = _example_class().FromString(data).features.feature
    except DecodeError as error:
        raise ValueError(f"it holds no Example: {error}") from error
    kinds = {name: (feature, feature.WhichOneof("kind")) for name, feature in features.items()}
    return {name: list(getattr(feature, kind).value) for name, (feature, kind) in kinds.items() if kind}


@cache
def _example_class() -> Any:
    """Makes the class of ``tf.train.Example`` from its description, which is public and does not change.

    Source: tensorflow/core/example/example.proto and feature.proto.
    """
    file = FileDescriptorProto(name="example.proto", package="tf", syntax="proto3")
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, values) in enumerate(_LISTS.items(), start=1):
        file.message_type.add(name=name).field.add(name="value", number=1, type=values, label=_Field.LABEL_REPEATED)
        _add(feature, name, number, f".tf.{name}", oneof_index=0)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    _add(entry, "value", 2, ".tf.Feature")
    _add(features, "feature", 1, ".tf.Features.FeatureEntry", label=_Field.LABEL_REPEATED)
    _add(file.message_type.add(name="Example"), "features", 1, ".tf.Features")
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName("tf.Example"))


def _add(message: Any, name: str, number: int, kind: str, **more: int) -> None:
    """Adds a field that is a message itself."""
    more.setdefault("label", _Field.LABEL_OPTIONAL)
    message.field.add(name=name, number=number, type=_Field.TYPE_MESSAGE, type_name=kind, **more)
