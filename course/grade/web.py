"""`course grade --serve`: a grade on demand over HTTP. A student sends a notebook and a token, and gets a report.

`POST /grade` with the notebook's file as the body; `GET /grade/ID` for one that takes longer; `/` is a page that does both.
Only the token says who it is. No web page of another site can send one, so any may ask.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from course.api_error import ApiError
from course.grade.book import configuration
from course.grade.desk import Desk, Ticket
from course.grade.report import page
from course.grade.run import assignments_of
from course.grade.tokens import Tokens, give_tokens
from course.grade.workers import expect_sandbox, on_dask, on_this_computer
from course.serve.errors import BodyLimit, add_error_handlers
from course.sheets import Owners
from helpers import __version__
from helpers.errors import PlainError

__all__ = ["create_app", "serve"]

MAX_BODY = 20_000_000  # bytes
UPLOAD = 120
"""Seconds that a notebook may take to arrive."""
WAIT = 100
"""Seconds after which a client is told to ask again; many give up after two minutes."""
POLL = 5
"""Seconds until it should."""
NOTHING_ELSE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
DESK = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Grade my notebook</title>
<style>
  body { font: 1rem/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  iframe { width: 100%; height: 70vh; border: 1px solid #888 }
</style>
<h1>Grade my notebook</h1>
<p>Save the notebook first. The hidden inputs are drawn anew each time; what counts is the notebook that you hand in.</p>
<form>
  <p><label>Your token: <input type="password" name="token" required autocomplete="off"></label></p>
  <p><label>The notebook: <input type="file" name="file" accept=".ipynb" required></label></p>
  <p><button>Grade it</button></p>
</form>
<p role="status"></p>
<iframe title="The report" sandbox hidden></iframe>
<script>
  const form = document.querySelector("form"), status = document.querySelector("[role=status]")
  const frame = document.querySelector("iframe")
  form.onsubmit = async event => {
    event.preventDefault()
    const ask = (path, options) => fetch(path, {...options, headers: {
      Authorization: "Bearer " + form.token.value.trim(), Accept: options.accept || "application/json"}})
    frame.hidden = true
    form.querySelector("button").disabled = true
    try {
      status.textContent = "It is being graded …"
      let answer = await ask("grade?wait=20", {method: "POST", body: form.file.files[0]}), found = await answer.json()
      while (answer.status == 202) {
        await new Promise(resolve => setTimeout(resolve, 1000 * Number(answer.headers.get("Retry-After"))))
        answer = await ask("grade/" + found.id, {})
        found = await answer.json()
      }
      status.textContent = answer.ok ? "" : found.error.message
      if (answer.ok) {
        frame.srcdoc = await (await ask("grade/" + found.id, {accept: "text/html"})).text()
        frame.hidden = false
      }
    } catch (error) {
      status.textContent = "The grader can't be reached: " + error.message
    } finally {
      form.querySelector("button").disabled = false
    }
  }
</script>
</html>
"""


def create_app(desk: Desk, tokens: Tokens, *, max_body: int = MAX_BODY) -> FastAPI:
    """Create the app.

    Args:
        desk: takes the notebooks.
        tokens: of the students.
        max_body: the largest notebook, in bytes.
    """
    pages = {"docs_url": None, "redoc_url": None}  # FastAPI's load their scripts from elsewhere
    app = FastAPI(title="Picture This: a grade on demand", version=__version__, **pages)
    app.add_middleware(BodyLimit, limit=max_body, remedy="clear the notebook's outputs and save it again")
    add_error_handlers(app)

    @app.get("/", include_in_schema=False)
    async def form() -> HTMLResponse:
        rules = "default-src 'self' 'unsafe-inline'; img-src data:; frame-src 'self' data:"
        return HTMLResponse(DESK, headers={"Content-Security-Policy": rules})

    @app.get("/health")
    async def health() -> dict:
        """Which server this is, and what it grades."""
        return {"status": "ok", "course": "picture-this", "assignments": [*desk.assignments]}

    @app.post("/grade")
    async def grade(
        request: Request, assignment: str = "", wait: Annotated[float, Query(ge=0, le=WAIT)] = WAIT
    ) -> Response:
        """Grade the notebook that is the request's body; 202 if it takes longer than `wait` seconds."""
        student = _student(request, tokens)
        desk.admit(student)
        try:
            async with asyncio.timeout(UPLOAD):
                data = await request.body()
            ticket = await run_in_threadpool(desk.hand_in, student, data, assignment)
        except BaseException as error:
            desk.leave(student)
            if isinstance(error, TimeoutError):
                raise ApiError(408, f"The notebook has not arrived within {UPLOAD} seconds.") from error
            raise
        await asyncio.wait([asyncio.wrap_future(ticket.report)], timeout=wait)
        return _answer(request, desk, ticket)

    @app.get("/grade/{id}")
    async def look_up(request: Request, id: str) -> Response:
        """Return the report on a notebook of the same student; 202 while there is none."""
        ticket = desk.find(_student(request, tokens), id)
        if ticket is None:
            raise ApiError(404, "There is no report with this id for you: only your last ones are kept.")
        return _answer(request, desk, ticket)

    return app


def _student(request: Request, tokens: Tokens) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    student = tokens.student(token.strip()) if kind.lower() == "bearer" else None
    if student is None:
        sentence = "Send your token in the header Authorization: Bearer TOKEN; your instructor has it."
        raise ApiError(401, sentence, headers={"WWW-Authenticate": "Bearer"})
    return student


def _answer(request: Request, desk: Desk, ticket: Ticket) -> Response:
    about = {"id": ticket.id, "assignment": ticket.assignment}
    if not ticket.report.done():
        later = {"Location": f"/grade/{ticket.id}", "Retry-After": str(POLL)}
        return JSONResponse(about | {"state": "waiting"}, 202, later)
    if error := ticket.report.exception():
        why = str(error) if isinstance(error, PlainError) else type(error).__name__
        raise ApiError(
            503, f"The notebook was not graded, and this does not count: {why}", headers={"Retry-After": "60"}
        )
    report = ticket.report.result()
    if "text/html" in request.headers.get("accept", ""):
        shown = page(report, desk.assignments[ticket.assignment].released)
        return HTMLResponse(shown, headers={"Content-Security-Policy": NOTHING_ELSE})
    return JSONResponse(about | {"state": "graded"} | report)


def serve(
    root: Path,
    *,
    students: list[str],
    tokens: Path,
    host: str,
    port: int,
    per_hour: int,
    keep: Path | None = None,
    jobs: int = 0,
    dask: str | None = None,
    sandboxed: bool = True,
    only: set[str] | None = None,
) -> None:
    """Grade on demand until stopped.

    Args:
        root: the course's folder, with nbgrader_config.py and build/source.
        students: who gets a token, in addition to those who have one.
        tokens: the table of tokens.
        host, port: where to listen.
        per_hour: how many notebooks of a student are graded in an hour.
        keep: the folder for the notebooks that were sent, each student's last one; None to keep none.
        jobs, dask, sandboxed, only: see `course.grade.run.grade_all`.

    Raises:
        PlainError: something is missing: the configuration, an assignment, a token, a sandbox, the cluster; or the port is
            taken.
    """
    if sandboxed and not dask:
        expect_sandbox()
    assignments, config, known = assignments_of(root, only), configuration(root), give_tokens(tokens, students)
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    with suppress(OSError), socket.create_connection((host, port), timeout=1):
        raise PlainError(f"Something else is listening at {address}: pass another --port.")
    where = on_dask(dask, sandboxed=sandboxed) if dask else on_this_computer(jobs, sandboxed=sandboxed)
    with where as workers:
        desk = Desk(assignments, config, workers, Owners.of(root, known.students), per_hour=per_hour, keep=keep)
        app = create_app(desk, known)
        server = uvicorn.Server(uvicorn.Config(app, host, port, log_level="warning", timeout_graceful_shutdown=2))
        print(f"{address} grades {', '.join(assignments)}; the tokens are in {tokens}. Ctrl+C stops it.", flush=True)
        with suppress(KeyboardInterrupt):  # uvicorn shuts down, then raises the signal again
            server.run()
        desk.close()
