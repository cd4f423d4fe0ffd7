"""Whether a server answers at all, before anything starts to wait for it."""

from __future__ import annotations

import ssl
import threading
import urllib.error
import urllib.request

_PATIENCE = 3.0  # seconds; an answer that takes longer is no basis for a download of hundreds of megabytes


def unreachable(url: str, patience: float = _PATIENCE) -> str | None:
    """Returns why a server does not answer within some seconds, or None where it does (any answer counts)."""
    found: list[str | None] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=patience).close()
            found.append(None)
        except urllib.error.HTTPError:
            found.append(None)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            # It answers, with a certificate that the download libraries may have other ideas about.
            found.append(None if isinstance(reason, ssl.SSLError) else str(reason))

    # A name server that is silent blocks for longer than any timeout of the request itself; a thread can be left.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(patience + 0.5)
    return found[0] if found else f"no answer within {patience:.0f} s"
