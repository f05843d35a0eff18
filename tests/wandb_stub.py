"""A stand-in for W&B's server on this machine, that records what it is sent and fails on demand.

It speaks what `wandb` in online mode asks for: GraphQL (viewer, server features, resume status,
UpsertBucket, upload URLs) and file streams. A client finds it by WANDB_BASE_URL and any key.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal

API_KEY = "0123456789" * 4
SLOW_SECONDS = 1.0

Behaviour = Literal["ok", "refuse", "hang", "slow", "rate limit", "error"]
_STATUS = {"rate limit": 429, "error": 500}


@dataclass
class StubRun:
    """What the server was told of one run.

    Attributes:
        bucket: the variables of every UpsertBucket, the later over the earlier.
        files: of each file of the file stream its lines, by line number.
        sent: every `_step` that came in a row of the history, repetitions included.
        uploads: the names of its files.
        exit_code: what closed the file stream last, None before.
    """

    bucket: dict[str, Any] = field(default_factory=dict)
    files: dict[str, dict[int, str]] = field(default_factory=dict)
    sent: list[int] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    exit_code: int | None = None

    def lines(self, file: str) -> list[str]:
        return [line for _, line in sorted(self.files.get(file, {}).items())]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The history as it would be shown."""
        return [json.loads(line) for line in self.lines("wandb-history.jsonl")]

    @property
    def summary(self) -> dict[str, Any]:
        lines = self.lines("wandb-summary.json")
        return json.loads(lines[-1]) if lines else {}

    @property
    def config(self) -> dict[str, Any]:
        """The run's config, without W&B's own entry."""
        config = json.loads(self.bucket["config"])
        return {name: entry["value"] for name, entry in config.items() if name != "_wandb"}

    def receive(self, body: dict[str, Any]) -> None:
        """Take one POST to the file stream."""
        for file, chunk in (body.get("files") or {}).items():
            lines = self.files.setdefault(file, {})
            lines.update(enumerate(chunk["content"], start=chunk["offset"]))
            if file == "wandb-history.jsonl":
                self.sent += [json.loads(line)["_step"] for line in chunk["content"]]
        if body.get("complete"):
            self.exit_code = body["exitcode"]


class WandbStub:
    """The server, inside a `with`.

    Args:
        behaviour: of every answer; may be changed at any time. `refuse` is for good.
        after: requests that are answered well before.
    """

    def __init__(self, behaviour: Behaviour = "ok", after: int = 0) -> None:
        self.behaviour = behaviour
        self.after = after
        self.runs: dict[str, StubRun] = {}
        self.requests: list[str] = []  # the operation of each
        self.views: list[dict[str, Any]] = []  # what workspaces and reports were saved as
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), _handler(self), bind_and_activate=False
        )
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._server.server_bind()
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> WandbStub:
        if self.behaviour == "refuse" and not self.after:
            return self  # bound and not listening, so that nobody else takes the port
        self._server.server_activate()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """Status and content for one request; None to break the connection off."""
        operation = _operation(path, body)
        with self._lock:
            self.requests.append(operation)
            behaviour = self.behaviour if len(self.requests) > self.after else "ok"
        if behaviour == "refuse":
            self._server.shutdown()  # else its loop would poll the closed socket without a pause
            self._server.socket.close()
            return None
        if behaviour == "hang":
            self._closing.wait()
            return None
        if behaviour == "slow":
            self._closing.wait(SLOW_SECONDS)
        if behaviour in _STATUS:
            return _STATUS[behaviour], {"errors": [{"message": f"the stub says {behaviour}"}]}
        with self._lock:
            if operation == "file_stream":
                run = path.split("/")[-2]
                self.runs.setdefault(run, StubRun()).receive(body)
                return 200, {}
            return 200, {"data": self._graphql(operation, body.get("variables") or {})}

    def _graphql(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        project = {
            "id": "project-id",
            "name": variables.get("project"),
            "entity": {"id": "entity-id", "name": "stub"},
        }
        if operation == "Viewer":
            return {
                "viewer": {
                    "id": "user-id",
                    "entity": "stub",
                    "username": "stub",
                    "email": "stub@example.org",
                    "flags": "{}",
                    "teams": {"edges": []},
                }
            }
        if operation == "GetDefaultEntity":
            return {"viewer": {"id": "user-id", "entity": "stub"}}
        if operation == "GetProjects":
            page = {"hasNextPage": False, "endCursor": None}
            return {"models": {"edges": [], "pageInfo": page}}
        if operation == "ServerFeaturesQuery":
            return {"serverInfo": {"features": []}}
        if operation == "RunResumeStatus":
            return {"model": {**project, "bucket": self._resume_status(variables["name"])}}
        if operation == "UpsertBucket":
            name = variables.get("name") or variables["id"].removeprefix("id-of-")
            run = self.runs.setdefault(name, StubRun())
            inserted = not run.bucket
            run.bucket.update({k: v for k, v in variables.items() if v is not None})
            bucket = {"id": f"id-of-{name}", "name": name, "project": project}
            return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}
        if operation == "CreateRunFiles":
            self.runs.setdefault(variables["run"], StubRun()).uploads += variables["files"]
            files = [{"name": n, "uploadUrl": f"{self.url}/upload"} for n in variables["files"]]
            files_of_run = {"runID": variables["run"], "uploadHeaders": [], "files": files}
            return {"createRunFiles": files_of_run}
        if operation in ("UpsertView2", "upsertView"):
            self.views.append(variables)
            view = {
                "id": "view-id",
                "name": "nw-abc-v",
                "displayName": variables["displayName"],
                "type": variables["type"],
                "description": variables["description"],
                "project": {"id": "project-id", "name": "runner", "entityName": "stub"},
                "spec": variables["spec"],
            }
            return {"upsertView": {"view": view, "inserted": True}}
        if operation == "ProjectInternalId":
            return {"project": {"internalId": "project-id"}}
        return {}

    def _resume_status(self, name: str) -> dict[str, Any] | None:
        run = self.runs.get(name)
        if run is None:
            return None
        history, events = (run.lines(f"wandb-{kind}.jsonl") for kind in ("history", "events"))
        return {
            "id": f"id-of-{name}",
            "name": name,
            "displayName": run.bucket["displayName"],
            "config": run.bucket["config"],
            "tags": run.bucket.get("tags"),
            "summaryMetrics": json.dumps(run.summary),
            "historyLineCount": len(history),
            "eventsLineCount": len(events),
            "logLineCount": len(run.lines("output.log")),
            "historyTail": json.dumps(history[-1:]),
            "eventsTail": json.dumps(events[-1:]),
            "wandbConfig": json.dumps({"t": {}}),
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that did not wait for its answer is what is tested."""


def _operation(path: str, body: dict[str, Any]) -> str:
    """`UpsertBucket`, … of GraphQL; else the last part of the path."""
    named = re.search(r"(?:query|mutation)\s+(\w+)", body.get("query") or "")
    return named.group(1) if named else path.rsplit("/", 1)[-1]


def _handler(stub: WandbStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                body = json.loads(content)
            except ValueError:
                body = {}  # an uploaded file
            answer = stub.answer(self.path, body if isinstance(body, dict) else {})
            if answer is None:
                return
            status, reply = answer
            data = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _handle

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler
