"""A double of a ClickHouse server for tests: its HTTP interface over an in-memory chDB, in a process of its own.

    python tests/store_server.py USER PASSWORD

It prints its port and serves until its standard input closes. It knows what clickhouse-connect's HTTP client sends: a
query in the body or in the URL, bound parameters (``param_…``), settings, the data of an insert, user and password.
Errors come with ClickHouse's code in the header where a real server puts it.
"""

import base64
import email
import re
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame


@contextmanager
def running(user="ada", password="s3cr:t/"):
    """The double in a process: that process, whose ``place`` is its host and port."""
    command = [sys.executable, __file__, user, password]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.place = f"127.0.0.1:{int(process.stdout.readline())}"
        try:
            yield process
        finally:
            process.stdin.close()


#: What the URL says besides settings of the query.
TRANSPORT = {"query", "database", "query_id", "wait_end_of_query", "session_id", "client_protocol_version"}
INSERT = re.compile(rb"(INSERT INTO .+?)\s+FORMAT\s+(\w+)[ \t]*\r?\n", re.IGNORECASE | re.DOTALL)


class Refused(Exception):
    def __init__(self, status: int, code: int, message: str):
        super().__init__(message)
        self.status, self.code = status, code


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    user = password = ""

    def do_POST(self):
        body, fields = self._read()
        fields = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True)) | fields
        try:
            self._let_in()
            result = run(body, fields)
        except Refused as error:
            code = {"X-ClickHouse-Exception-Code": str(error.code)}
            return self._answer(error.status, str(error).encode(), code)
        form = fields.get("default_format", "TabSeparated")
        summary = f'{{"written_rows": "{result.rows_read()}"}}'
        self._answer(200, result.bytes() or b"", {"X-ClickHouse-Format": form, "X-ClickHouse-Summary": summary})

    do_GET = do_POST

    def _read(self) -> tuple[bytes, dict[str, str]]:
        """The request's body, and the fields of a form where it is one (long parameters come so)."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "lz4":
            body = lz4.frame.decompress(body)
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/form-data"):
            return body, {}
        form = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
        parts = {part.get_param("name", header="Content-Disposition"): part for part in form.get_payload()}
        return b"", {name: part.get_payload(decode=True).decode() for name, part in parts.items()}

    def _let_in(self):
        basic = self.headers.get("Authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(basic).decode().partition(":")
        user = self.headers.get("X-ClickHouse-User", user)
        password = self.headers.get("X-ClickHouse-Key", password)
        if (user, password) != (self.user, self.password):
            raise Refused(403, 516, f"Code: 516. DB::Exception: {user}: Authentication failed. (AUTHENTICATION_FAILED)")

    def _answer(self, status: int, body: bytes, headers: dict[str, str]):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def run(body: bytes, fields: dict[str, str]):
    """chDB's result of a request. Each has a connection of its own, so settings end with it."""
    sql = (fields.get("query", "") + "\n").encode() + body if fields.get("query") else body
    connection = chdb.connect(":memory:")
    try:
        if database := fields.get("database"):
            connection.query(f"USE `{database}`")
        for name, value in fields.items():
            if name not in TRANSPORT and not name.startswith("param_"):
                quoted = value.replace("\\", "\\\\").replace("'", "\\'")
                connection.query(f"SET {name} = '{quoted}'")
        params = {name.removeprefix("param_"): v for name, v in fields.items() if name.startswith("param_")}
        insert = INSERT.match(sql.lstrip())
        if insert is None:
            return connection.query(sql.decode(), "TabSeparated", params=params)
        with tempfile.NamedTemporaryFile() as data:  # chDB takes data from a file
            data.write(sql.lstrip()[insert.end() :])
            data.flush()
            return connection.query(f"{insert[1].decode()} FROM INFILE '{data.name}' FORMAT {insert[2].decode()}")
    except RuntimeError as error:
        code = re.search(r"Code: (\d+)", str(error))
        raise Refused(500, int(code[1]) if code else 1002, str(error)) from error
    finally:
        connection.close()


def main():
    Handler.user, Handler.password = sys.argv[1:]
    keep = chdb.connect(":memory:")  # the database lives as long as a connection to it
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    server.shutdown()
    keep.close()


if __name__ == "__main__":
    main()
