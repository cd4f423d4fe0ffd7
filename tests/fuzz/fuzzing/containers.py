"""Files made of parts (safetensors, zip, tar, gzip, Parquet) that are taken apart, damaged inside and put together."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import warnings
import zipfile
from random import Random

from fuzzing.damage import Mutator, damaged
from fuzzing.structures import value_damaged

_NAMES = (
    "",
    ".",
    "..",
    "../out.jpg",
    "/etc/out.jpg",
    "a/../../out.jpg",
    "\x1b[31m.jpg",
    "x" * 300,
    "\udc80.jpg",
    "a//b",
)
_MANY = (10, 5_000, 60_000)


def safetensors_damaged(rng: Random, data: bytes) -> bytes:
    """Damages header, data, or both of a safetensors file, and keeps the length in front right most of the time."""
    length = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + length], data[8 + length :]
    luck = rng.random()
    if luck < 0.2:
        return damaged(rng, data)
    if luck < 0.35:
        body = damaged(rng, body)
    else:
        value = json.loads(header)
        if luck < 0.4:
            value |= {
                f"empty{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(rng.choice(_MANY))
            }
        elif luck < 0.5:
            name = rng.choice([key for key in value if key != "__metadata__"])
            size = rng.choice((0, 2**31, 2**62, 10**8))
            value[name]["shape"] = rng.choice(([size], [size, size], [1] * 200, [0, size]))
        else:
            value = value_damaged(rng, value)
        header = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
        if luck > 0.9:
            header = damaged(rng, header)
    count = len(header) if rng.random() < 0.95 else rng.choice((0, 1, len(header) + 1, 2**40, 2**64 - 1))
    return count.to_bytes(8, "little") + header + body


def zip_mutator(member: Mutator = damaged) -> Mutator:
    """Returns a mutator of zip files; `member` damages the content of one of them."""

    def mutate(rng: Random, data: bytes) -> bytes:
        if rng.random() < 0.3:
            return damaged(rng, data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
        entries = _entries_damaged(rng, entries, member)
        buffer = io.BytesIO()
        packed = zipfile.ZIP_DEFLATED if rng.random() < 0.3 else zipfile.ZIP_STORED
        with zipfile.ZipFile(buffer, "w", packed) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the same name twice
            for name, content in entries:
                archive.writestr(name.encode("utf-8", "replace").decode() or "nameless", content)
        made = buffer.getvalue()
        # The sizes and places that the directory at the end claims.
        return made[:-200] + damaged(rng, made[-200:]) if rng.random() < 0.2 else made

    return mutate


def tar_mutator(member: Mutator = damaged, packed: bool = False) -> Mutator:
    """Returns a mutator of tar files, or of gzipped ones; `member` damages the content of one of them."""

    def mutate(rng: Random, data: bytes) -> bytes:
        if rng.random() < (0.2 if packed else 0.3):
            return damaged(rng, data)
        plain = gzip.decompress(data) if packed else data
        if rng.random() < 0.3:
            plain = damaged(rng, plain)
        else:
            with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
                entries = [(m.name, (archive.extractfile(m) or io.BytesIO()).read()) for m in archive if m.isfile()]
            plain = _tar(rng, _entries_damaged(rng, entries, member))
        return gzip.compress(plain, 1, mtime=0) if packed else plain

    return mutate


def _tar(rng: Random, entries: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    odd = rng.randrange(len(entries) + 3)
    with tarfile.open(fileobj=buffer, mode="w", format=rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))) as archive:
        for number, (name, content) in enumerate(entries):
            info = tarfile.TarInfo(name.replace("\0", ""))
            info.size = len(content)
            if number == odd:
                match rng.randrange(4):
                    case 0:
                        info.type = rng.choice(
                            (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, b"9")
                        )
                        info.linkname = rng.choice(("/etc/passwd", "..", entries[0][0]))
                    case 1:
                        info.size = rng.choice((0, 1, 2**33, 2**62, max(0, len(content) - 1)))
                    case 2:
                        info.pax_headers = {"size": rng.choice(("-1", "99999999999", "x")), "comment": "y" * 1000}
                    case 3:
                        info.mtime = rng.choice((0, 2**40))
            # What the header claims may differ from what follows.
            archive.addfile(info)
            archive.fileobj.write(content + bytes(-len(content) % tarfile.BLOCKSIZE))  # type: ignore[union-attr]
            archive.offset += len(content) + -len(content) % tarfile.BLOCKSIZE
    return buffer.getvalue()


def gzip_mutator(inner: Mutator = damaged) -> Mutator:
    """Returns a mutator of gzipped files; `inner` damages what is packed."""

    def mutate(rng: Random, data: bytes) -> bytes:
        if rng.random() < 0.3:
            return damaged(rng, data)
        plain = gzip.decompress(data)
        if rng.random() < 0.03:
            plain += bytes(1 << 26)  # packs to nothing
        return gzip.compress(inner(rng, plain), 1, mtime=0)

    return mutate


def _entries_damaged(rng: Random, entries: list[tuple[str, bytes]], member: Mutator) -> list[tuple[str, bytes]]:
    entries = list(entries)
    for _ in range(rng.choice((1, 1, 2))):
        if not entries:
            return entries
        at = rng.randrange(len(entries))
        name, content = entries[at]
        match rng.randrange(8):
            case 0:
                del entries[at]
            case 1:
                entries.insert(rng.randrange(len(entries) + 1), (name, content))
            case 2:
                entries[at] = (rng.choice(_NAMES), content)
            case 3:
                entries[at] = (f"{name}x", content)
            case 4:
                entries.insert(at, (rng.choice(_NAMES) or "more", content))
            case _:
                entries[at] = (name, member(rng, content))
    return entries


def parquet_damaged(rng: Random, data: bytes) -> bytes:
    """Damages bytes, or columns, rows and JSON metadata, of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if rng.random() < 0.4:
        return damaged(rng, data)
    table = pq.read_table(pa.BufferReader(data))
    metadata = {key: value for key, value in (table.schema.metadata or {}).items() if key != b"ARROW:schema"}
    columns = {name: table[name].to_pylist() for name in table.column_names}
    types = {field.name: field.type for field in table.schema}
    name = rng.choice(table.column_names)
    luck = rng.randrange(7)
    if luck == 0:
        del columns[name]
    elif luck == 1:
        types[name] = rng.choice((pa.string(), pa.int8(), pa.float64(), pa.bool_(), pa.list_(pa.int64())))
        columns[name] = [None] * len(columns[name])
    elif luck == 2 and columns[name]:
        kind = types[name]
        odd = ("", "x", "\0", "\u202e") if pa.types.is_string(kind) else (-1, 0, 2**31 - 1, -(2**31))
        columns[name][rng.randrange(len(columns[name]))] = rng.choice((None, *odd))
    elif luck == 3:
        kept = rng.randrange(table.num_rows + 1)
        columns = {key: values[:kept] for key, values in columns.items()}
    elif luck == 4:
        columns = {key: values[::-1] for key, values in columns.items()}
    elif metadata:
        key = rng.choice(list(metadata))
        if rng.random() < 0.2:
            del metadata[key]
        else:
            metadata[key] = json.dumps(value_damaged(rng, json.loads(metadata[key]))).encode("utf-8", "surrogatepass")
    schema = pa.schema([(key, types[key]) for key in columns], metadata=metadata)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=schema), sink)
    made = sink.getvalue().to_pybytes()
    return damaged(rng, made) if rng.random() < 0.15 else made
