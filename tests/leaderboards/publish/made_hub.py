"""The few calls of the Hugging Face Hub that looking at a repository and a commit of small files take."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Repo:
    """A repository: what is on its main branch, its commits (message, files), and its pull requests."""

    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    pulls: list[dict[str, bytes]] = field(default_factory=list)

    @property
    def sha(self) -> str:
        return hashlib.sha1(f"commit {len(self.commits)}".encode()).hexdigest()


class MadeHub(ThreadingHTTPServer):
    """Serves `repos`, by ``datasets/ORG/NAME`` and ``models/ORG/NAME``.

    Attributes:
        asked: Method and path of each request, in order.
        refuses: Part of a path -> status, code and message that requests for it get.
        large: Names that are stored apart from git, with the sha256 of their content.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.repos: dict[str, Repo] = {}
        self.asked: list[tuple[str, str]] = []
        self.tokens: set[str | None] = set()
        self.refuses: dict[str, tuple[int, str, str]] = {}
        self.large: set[str] = set()

    @property
    def sent(self) -> list[str]:
        """Paths of the requests that could change something."""
        return [path for method, path in self.asked if method == "POST"]


class _Handler(BaseHTTPRequestHandler):
    server: MadeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self._body()
        url = urlsplit(self.path)
        self.server.asked.append((self.command, self.path))
        self.server.tokens.add(self.headers.get("Authorization"))
        for refused, (status, code, message) in self.server.refuses.items():
            if refused in self.path:
                return self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": message})
        path = unquote(url.path).strip("/")
        if not path:
            return self._send(200, b"")
        parts = path.removeprefix("api/").split("/")
        if not path.startswith("api/") and parts[0] != "datasets":
            parts = ["models", *parts]
        # The client asks for a few other things, and can do without.
        kind, owner, name, *rest = parts if len(parts) > 2 else ["", "", ""]
        repo = self.server.repos.get(f"{kind}/{owner}/{name}")
        if repo is None:
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        if not rest:
            return self._json({"id": f"{owner}/{name}", "sha": repo.sha, "siblings": self._siblings(repo)})
        if rest[0] == "resolve":
            data = repo.files["/".join(rest[2:])]
            return self._send(200, data, {"ETag": f'"{git_hash(data)}"', "X-Repo-Commit": rest[1]})
        if rest[0] == "preupload":
            modes = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            return self._json({"files": modes})
        assert rest[0] == "commit"
        return self._commit(repo, f"{owner}/{name}", body, parse_qs(url.query))

    def _siblings(self, repo: Repo) -> list[dict[str, Any]]:
        return [
            {"rfilename": name, "size": len(data), "blobId": git_hash(data)}
            | ({"lfs": {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 1}}
               | {"blobId": git_hash(b"pointer")} if name in self.server.large else {})
            for name, data in repo.files.items()
        ]  # fmt: skip

    def _commit(self, repo: Repo, name: str, body: bytes, query: dict[str, list[str]]) -> None:
        lines = [json.loads(line) for line in body.splitlines()]
        head = lines[0]["value"]
        assert all(line["key"] == "file" for line in lines[1:])
        files = {line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines[1:]}
        if head["parentCommit"] != repo.sha:
            return self._send(412, b"", {"X-Error-Message": "A commit has happened since"})
        if "create_pr" in query:
            repo.pulls.append(files)
            extra = {"pullRequestUrl": f"{self.server.endpoint}/{name}/discussions/{len(repo.pulls)}"}
        else:
            repo.files |= files
            repo.commits.append((head["summary"], files))
            extra = {}
        done = {"success": True, "commitOid": repo.sha, "commitUrl": f"{self.server.endpoint}/{name}/commit/{repo.sha}"}
        self._json(done | extra)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0%b" % (len(data), data)).hexdigest()


@contextmanager
def serving() -> Iterator[MadeHub]:
    with MadeHub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
