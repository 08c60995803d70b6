"""The page of a run in progress: in a browser on this machine, or in a notebook's cell."""

import http.server
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evoae.report.page.html import render
from evoae.report.page.record import PAGE, Record
from evoae.runs.loop import Observer, Progress
from evoae.runs.observers.progress_bar import status_of
from evoae.runs.observers.run_folder import RunFolder

POLL_SECONDS = 1.0  # from one look to the next
PART = 0.02  # of the time, at most, that showing may take
LAST_LOOK_SECONDS = 5.0  # how long an open page has to see the end of the run


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *of: Any) -> None:
        """A browser that was closed is no error, and the terminal is the run's."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*of)


class LivePage:
    """A server on 127.0.0.1 with a free port, in a thread; it draws only when someone looks.

    Args:
      record: what there is to show now; called from the server's thread.

    >>> import urllib.request
    >>> page = LivePage(lambda: Record("demo", {}, {}, {}, {}, {}))
    >>> page.show("generation 12")
    >>> "generation 12" in urllib.request.urlopen(page.address).read().decode()
    True
    >>> page.close()
    """

    def __init__(self, record: Callable[[], Record]) -> None:
        self._record, self._status = record, "compiling"
        self._poll_seconds = POLL_SECONDS
        self._drawn, self._drawn_at, self._lock = "", -float("inf"), threading.Lock()
        self._last_asked, self._seen = -float("inf"), threading.Event()
        self._final: Path | None = None
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def show(self, status: str) -> None:
        """Have the page say how far the run is."""
        self._status = status

    def finish(self, page: Path) -> None:
        """Show the finished page to a browser that is open, and close."""
        self._final = page
        if time.monotonic() - self._last_asked < 2 * self._poll_seconds + 1:
            self._seen.wait(self._poll_seconds + LAST_LOOK_SECONDS)
        self.close()

    def close(self) -> None:
        """Stop the server; a second time does nothing."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _page(self) -> str:
        self._last_asked = time.monotonic()
        if self._final is not None:
            return self._final.read_text("utf-8")
        with self._lock:  # several viewers take no more time than one
            begun = time.monotonic()
            if begun - self._drawn_at > 0.9 * self._poll_seconds:
                self._drawn = render(
                    [self._record()], status=self._status, poll_seconds=self._poll_seconds
                )
                self._drawn_at = time.monotonic()
                self._poll_seconds = max(POLL_SECONDS, (self._drawn_at - begun) / PART)
            return self._drawn

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        live = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                # Another name for this address is a web page's trick to read it.
                host = self.headers.get("Host", "").rpartition(":")[0]
                if self.path.partition("?")[0] != "/" or host not in ("127.0.0.1", "localhost"):
                    self.send_error(404)
                    return
                is_final = live._final is not None
                body = live._page().encode("utf-8")
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                if is_final:
                    live._seen.set()

            def log_message(self, *arguments: Any) -> None:
                """Nothing: the terminal is the run's."""

        return Handler


class NotebookPage:
    """The images and the curve in a notebook's cell, drawn anew now and then.

    Args:
      record: what there is to show now.
    """

    def __init__(self, record: Callable[[], Record]) -> None:
        from IPython.display import HTML, display

        self._make, self._record, self._due = HTML, record, 0.0
        self._handle: Any = display(HTML("<p>compiling</p>"), display_id=True)

    def show(self, status: str, *, last: bool = False) -> None:
        """Draw, if it is time to."""
        begun = time.monotonic()
        if begun < self._due and not last:
            return
        text = render([self._record()], status=status, template="notebook.html")
        self._handle.update(self._make(text))
        taken = time.monotonic() - begun
        self._due = begun + max(POLL_SECONDS, taken / PART)


def in_notebook() -> bool:
    """Whether the program runs in a notebook, such as Jupyter or Colab."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


class Watch(Observer):
    """Shows a run in progress: in a browser, in a notebook's cell, or in neither.

    Args:
      folder: of the run; it must be told of each block before this is.
      live: show the page on 127.0.0.1, and print its address.
      notebook: show it in the cell.
    """

    def __init__(self, folder: RunFolder, *, live: bool, notebook: bool) -> None:
        self._folder, self._live, self._notebook = folder, live, notebook
        self._server: LivePage | None = None
        self._cell: NotebookPage | None = None

    def begin(self, progress: Progress) -> None:
        """Opens what shows the run."""
        if self._live:
            self._server = LivePage(self._folder.record)
            print(f"live         {self._server.address}", flush=True)
        if self._notebook:
            self._cell = NotebookPage(self._folder.record)

    def block(self, progress: Progress) -> None:
        """Shows how far the run is."""
        status = f"generation {progress.pace.steps:,}: {status_of(progress)}"
        if self._server:
            self._server.show(status)
        if self._cell:
            self._cell.show(status)

    def end(self, progress: Progress) -> None:
        """Shows the end to who is looking, and closes."""
        if self._cell and self._folder.result:
            self._cell.show("", last=True)
        if self._server and self._folder.result:
            self._server.finish(self._folder.path / PAGE)
        elif self._server:
            self._server.close()
