"""Streams a file of known size over HTTP, going on where an earlier attempt broke off."""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from vtab_harness import __version__

BLOCK = 1 << 18
SECONDS_OF_SILENCE = 60.0
# In a row, without a byte that is new.
FRUITLESS_ATTEMPTS = 3
SECONDS_BETWEEN_ATTEMPTS = 1.0
_PARTIAL = 206

Progress = Callable[[int, int], None]


class AddressError(Exception):
    """An address does not give the file; says why."""


class _BrokenError(Exception):
    """The connection broke off, so that another attempt makes sense."""


def stream(url: str, part: Path, size: int, progress: Progress | None = None) -> None:
    """Completes a partly downloaded file to its size.

    A server that does not know how to go on sends everything again. A connection that breaks off is opened again as
    long as that brings something new.

    Args:
        url: ``http://`` or ``https://``; proxies are taken from the environment.
        part: What has come already, if it exists.
        size: Bytes of the whole file.
        progress: Told the bytes here and the bytes in all.

    Raises:
        AddressError: The address does not answer, or has another file; what has come is kept.
        OSError: The part cannot be written.
    """
    if _size(part) > size:
        part.unlink()
    start = best = _size(part)
    fruitless = 0
    while _size(part) < size:
        try:
            _attempt(url, part, size, progress)
        except _BrokenError as error:
            fruitless = 0 if _size(part) > best else fruitless + 1
            best = max(best, _size(part))
            # An address that has never sent anything is not worth waiting for: the next one may answer.
            if best == start or fruitless == FRUITLESS_ATTEMPTS:
                raise AddressError(str(error)) from error
            time.sleep(SECONDS_BETWEEN_ATTEMPTS if fruitless else 0.0)


def _attempt(url: str, part: Path, size: int, progress: Progress | None) -> None:
    here = _size(part)
    headers = {"User-Agent": f"vtab-harness/{__version__}"} | ({"Range": f"bytes={here}-"} if here else {})
    try:
        # Not urlopen, which remembers the proxies of its first use.
        opener = urllib.request.build_opener()
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=SECONDS_OF_SILENCE)
    except urllib.error.HTTPError as error:
        error.close()
        raise AddressError(f"{error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _BrokenError(str(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(str(error) or type(error).__name__) from error
    except ValueError as error:
        raise AddressError(str(error)) from error
    with response:
        here = _first_byte(response, here, size)
        with part.open("r+b" if here else "wb") as file:
            file.seek(here)
            while here < size:
                try:
                    block = response.read(min(BLOCK, size - here))
                except (OSError, http.client.HTTPException) as error:
                    raise _BrokenError(str(error) or type(error).__name__) from error
                if not block:
                    raise _BrokenError(f"the connection broke off after {here:,} of {size:,} bytes")
                file.write(block)
                here += len(block)
                if progress is not None:
                    progress(here, size)


def _first_byte(response: http.client.HTTPResponse, asked: int, size: int) -> int:
    """Returns which byte of the file an answer begins with.

    Raises:
        AddressError: It is an answer about a file of another size: a page of a proxy, for instance.
    """
    if response.status == _PARTIAL:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        if span is None or int(span[1]) != asked:
            raise AddressError("the server answers with another part of the file than it was asked for")
        first, whole = asked, span[2]
    else:
        first, whole = 0, response.headers.get("Content-Length", "*")
    if whole.isdecimal() and int(whole) != size:
        raise AddressError(f"has {int(whole):,} bytes instead of {size:,}")
    return first


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
