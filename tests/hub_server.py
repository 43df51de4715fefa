"""A hub on this machine: the answers that fetching a model needs, and the files of one model."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def serving(repository: str, files: Path, commit: str) -> Iterator[tuple[str, list[str]]]:
    """Serve a model at one commit, to which every branch points.

    Yields:
        The address for HF_ENDPOINT, and the paths of the files that were asked for so far.
    """
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def answer(self, whole: bool) -> None:
            path = self.path.split("?")[0]
            if path.startswith(f"/api/models/{repository}/tree/"):
                content = json.dumps([_row(file) for file in sorted(files.iterdir())]).encode()
                self.reply(content, {"Content-Type": "application/json"}, whole)
            elif path.startswith(f"/api/models/{repository}"):
                info = {"id": repository, "sha": commit, "siblings": [], "tags": []}
                self.reply(json.dumps(info).encode(), {"Content-Type": "application/json"}, whole)
            elif path.startswith(f"/{repository}/resolve/{commit}/"):
                name = path.rsplit("/", 1)[1]
                asked.append(name)
                content = (files / name).read_bytes()
                self.reply(content, {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": commit}, whole)
            else:
                self.send_error(404)

        def reply(self, content: bytes, headers: dict[str, str], whole: bool) -> None:
            self.send_response(200)
            for name, value in (headers | {"Content-Length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            if whole:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def _row(file: Path) -> dict[str, object]:
    content = file.read_bytes()
    return {"type": "file", "path": file.name, "size": len(content), "oid": _oid(content)}


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
