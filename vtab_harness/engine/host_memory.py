"""Memory of the host that is kept for the next batch in place of being given back to the system after each."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# Of <malloc.h>.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


@cache
def keep_freed_memory() -> bool:
    """Tells the C library's allocator to keep what is freed; once for a process.

    A forward pass frees and asks for the same hundreds of megabytes at every batch. By default the C library gives
    large blocks back to the system at once, which then has to clear their pages again: on two CPU cores a quarter of
    the time of a ResNet-50. Kept, the process' peak stays the same; only what it has had at its peak is not given back
    before it ends.

    Returns:
        Whether it could be told; False where the C library is not glibc.

    Examples:
        >>> keep_freed_memory() in (True, False)
        True
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        library = ctypes.CDLL(None)
        _ = library.gnu_get_libc_version
    # Another C library, such as musl, has its own ways.
    except (OSError, AttributeError):
        return False
    # No block of its own for large requests, and no end of the heap given back below 2 GB of it.
    return bool(library.mallopt(_MMAP_MAX, 0)) and bool(library.mallopt(_TRIM_THRESHOLD, 2**31 - 1))
