"""What a zip says around its files' bytes, held to what its central directory says.

Zip tools disagree about which of the two to believe, and about extra fields that rename a file
(0x7075) or give its sizes again. An honest report needs none of it, so whatever is said twice must
be said alike, and an extra field holds zip64 sizes (0x0001) or nothing.
Source: .ZIP File Format Specification 6.3.10, sections 4.3.7 to 4.5.3.
"""

import struct
import zipfile
from typing import BinaryIO

from auditkeep.errors import ProofError

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_LOCAL_MAGIC = b"PK\x03\x04"
_CENTRAL_SIZE = 46
_END = struct.Struct("<4sHHHHIIH")
_END64_SIZE = 56 + 20
"""The zip64 end record and its locator."""
_DESCRIPTOR_MAGIC = b"PK\x07\x08"
_EXTRA_HEAD = struct.Struct("<HH")
_SIZES64 = struct.Struct("<QQ")
_ZIP64 = 1
_HAS_DESCRIPTOR = 0x8
_UTF8 = 0x800
_IN_ZIP64 = 0xFFFFFFFF
_COUNT_IN_ZIP64 = 0xFFFF


def data_offset(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin; ProofError if its local header tells another story."""
    file.seek(info.header_offset)
    head = file.read(_LOCAL.size)
    if len(head) < _LOCAL.size:
        raise _contradiction(info)
    magic, _, flags, method, _, _, crc, packed, size, name, extra = _LOCAL.unpack(head)
    if (magic, flags, method) != (_LOCAL_MAGIC, info.flag_bits, info.compress_type):
        raise _contradiction(info)
    if file.read(name) != raw_name(info):
        raise _contradiction(info)
    sizes64 = _zip64_of(file.read(extra), info)
    told = (info.CRC, info.compress_size, info.file_size)
    said = [(crc, packed, size)]
    if len(sizes64) >= _SIZES64.size:
        size64, packed64 = _SIZES64.unpack_from(sizes64)
        # Some writers (Python before 3.11.4) say the sizes in both places: then in both alike.
        if _IN_ZIP64 in (packed, size):
            said.clear()
        said.append((crc, packed64, size64))
    untold = [(0, 0, 0)] if flags & _HAS_DESCRIPTOR else []
    if any(one != told and one not in untold for one in said):
        raise _contradiction(info)
    return info.header_offset + _LOCAL.size + int(name) + int(extra)


def require_descriptor(file: BinaryIO, info: zipfile.ZipInfo, start: int, end: int) -> None:
    """Between a member's bytes and the next member there is nothing, or its sizes once more."""
    if start == end and not info.flag_bits & _HAS_DESCRIPTOR:
        return
    file.seek(start)
    found = file.read(end - start) if 0 <= end - start <= 24 else b""
    told = (info.CRC, info.compress_size, info.file_size)
    forms = [struct.pack("<IQQ", *told)]
    if max(told) <= _IN_ZIP64:
        forms.append(struct.pack("<III", *told))
    if not info.flag_bits & _HAS_DESCRIPTOR or found.removeprefix(_DESCRIPTOR_MAGIC) not in forms:
        raise ProofError(
            f"The zip holds bytes after {info.orig_filename!r} that belong to no file, "
            "or two of its files overlap."
        )


def require_plain(info: zipfile.ZipInfo) -> None:
    """ProofError if the directory says more of a member than where and how large it is."""
    _zip64_of(info.extra, info)
    if info.comment:
        raise ProofError(f"The zip holds a comment on {info.orig_filename!r}.")


def require_end(file: BinaryIO, infos: list[zipfile.ZipInfo], start: int) -> None:
    """ProofError unless the directory that begins at `start` is the one and last thing."""
    directory = sum(_CENTRAL_SIZE + len(raw_name(one)) + len(one.extra) for one in infos)
    end = file.seek(0, 2)
    rest = end - start - directory
    problem = ProofError("The zip holds bytes that belong to none of its files.")
    if rest not in (_END.size, _END.size + _END64_SIZE):
        raise problem
    file.seek(end - _END.size)
    _, _, _, here, count, size, offset, comment = _END.unpack(file.read(_END.size))
    if (
        comment
        or here != count
        or count not in (len(infos), _COUNT_IN_ZIP64)
        or size not in (directory, _IN_ZIP64)
        or offset not in (start, _IN_ZIP64)
    ):
        raise problem


def raw_name(info: zipfile.ZipInfo) -> bytes:
    """A member's name as it stands in the file."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")


def _zip64_of(extra: bytes, info: zipfile.ZipInfo) -> bytes:
    """The content of the zip64 field, if there is one; ProofError if there is anything else."""
    if not extra:
        return b""
    if len(extra) >= _EXTRA_HEAD.size:
        kind, size = _EXTRA_HEAD.unpack_from(extra)
        if kind == _ZIP64 and size == len(extra) - _EXTRA_HEAD.size:
            return extra[_EXTRA_HEAD.size :]
    raise ProofError(
        f"The zip says more about {info.orig_filename!r} than its size, which some programs "
        "would follow and others not."
    )


def _contradiction(info: zipfile.ZipInfo) -> ProofError:
    return ProofError(f"The zip contradicts itself about {info.orig_filename!r}.")
