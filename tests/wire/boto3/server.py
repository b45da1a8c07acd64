"""The command under test as a child process, and clients for it."""

import http.client
import json
import os
import pathlib
import select
import signal
import subprocess
from dataclasses import dataclass

import boto3
from botocore.config import Config

BINARY = os.environ.get("STRONGROOM_BIN", str(pathlib.Path(__file__).parents[3] / "target/debug/strongroom"))
READY = "listening on http://"
PATIENCE_SECONDS = 60
SESSION = boto3.session.Session()


def run(*arguments, **options):
    """Runs the command to its end."""
    return subprocess.run(
        [BINARY, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        **options,
    )


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["__type"]

    @property
    def text(self):
        return self.json["message" if "message" in self.json else "Message"]


class Server:
    """A running server on the directory `store` in a folder, with its log beside it."""

    def __init__(self, folder, *options, listen="127.0.0.1:0"):
        self.folder = pathlib.Path(folder)
        self.directory = self.folder / "store"
        self.log = self.folder / "log"
        command = [BINARY, "serve", "--dir", self.directory, "--listen", listen, *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
            )
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_SECONDS)
        line = self.process.stdout.readline() if ready else ""
        if not line.startswith(READY):
            self.kill()
            raise RuntimeError(f"the server did not start: {line!r}\n{self.log.read_text()}")
        self.port = int(line.strip().rsplit(":", 1)[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        """Ends it as a power cut would."""
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)
        self.process.stdout.close()

    def stop(self, by=signal.SIGTERM):
        """Asks it to end, and gives its exit code."""
        self.process.send_signal(by)
        return self.process.wait(PATIENCE_SECONDS)

    def client(self, key_id="000000000000", region="us-east-1", secret="any", session_token=None, **config):
        return SESSION.client(
            "secretsmanager",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=session_token,
            config=Config(max_pool_connections=40, **config),
        )

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)

    def send(self, body=b"", target=None, method="POST", path="/", **headers):
        """Sends one request without an SDK. Underscores in the names of headers stand for hyphens."""
        sent = {"Content-Type": "application/x-amz-json-1.1"} if method == "POST" else {}
        if target:
            sent["X-Amz-Target"] = target if "." in target else f"secretsmanager.{target}"
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection = self.connect()
        try:
            connection.request(method, path, body, {name: value for name, value in sent.items() if value is not None})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def admin(self, path, body=None):
        """Calls an endpoint under `/_strongroom/`: GET without a body, POST with one."""
        if body is None:
            return self.send(method="GET", path=f"/_strongroom/{path}")
        return self.send(body, path=f"/_strongroom/{path}", Content_Type="application/json")
