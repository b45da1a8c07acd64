"""A server that speaks as much of Lambda's API as a rotation needs, with Python functions behind it."""

import json
import threading
import types
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PREFIX = "/2015-03-31/functions/"
SUFFIX = "/invocations"


class LambdaServer:
    """Serves handlers by their names; a caller may give the name or an ARN that ends with it."""

    def __init__(self, handlers):
        self.handlers = handlers
        self.dry_runs = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, answer = outer.answer(self.path, self.headers, body)
                content = b"" if answer is ... else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    def answer(self, path, headers, body):
        """The status, the headers and the body of an answer; the body `...` is none."""
        if not (path.startswith(PREFIX) and path.endswith(SUFFIX)):
            return 404, {"X-Amzn-ErrorType": "UnknownOperationException"}, {"Message": "unknown path"}
        function = urllib.parse.unquote(path[len(PREFIX) : -len(SUFFIX)])
        handler = self.handlers.get(function.rsplit(":", 1)[-1])
        if handler is None:
            return (
                404,
                {"X-Amzn-ErrorType": "ResourceNotFoundException"},
                {"Type": "User", "Message": f"Function not found: {function}"},
            )
        if headers.get("X-Amz-Invocation-Type") == "DryRun":
            self.dry_runs += 1
            return 204, {}, ...
        try:
            return 200, {}, handler(json.loads(body), types.SimpleNamespace(invoked_function_arn=function))
        except Exception as error:
            told = {"errorMessage": str(error), "errorType": type(error).__name__}
            return 200, {"X-Amz-Function-Error": "Unhandled"}, told
