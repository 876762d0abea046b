"""The readings of h11, gunicorn and waitress: ``peers.py NAME FILE``.

FILE is a JSON list of streams, each latin-1 text. Prints a line for each: ``[[method, target,
[[name, value], ...], body], ...], end``. The end is "waits" (for more bytes), "closed" (it reads
nothing after the last request) or the reason of a refusal. Names are in lower case. Run by a Python
that has these packages.
"""

import json
import sys


class WithH11:
    """h11: a connection whose requests are answered at once, so that it reads on."""

    def __init__(self):
        import h11

        self._h11 = h11

    def read(self, data, found):
        h11 = self._h11
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(data)
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError as err:
                return f"refused: {err}"
            if event is h11.NEED_DATA:
                return "waits"
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                found.append((request.method, request.target, list(request.headers), body))
                answer = h11.Response(status_code=404, headers=[("Content-Length", "0")])
                connection.send(answer)
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return "closed"
                connection.start_next_cycle()


class WithGunicorn:
    """gunicorn: the parser of its synchronous workers, in the default configuration."""

    def __init__(self):
        from gunicorn.config import Config
        from gunicorn.http.errors import NoMoreData, ParseException
        from gunicorn.http.parser import RequestParser

        self._more, self._error = NoMoreData, ParseException
        self._make = lambda data: RequestParser(Config(), [data], ("127.0.0.1", 1))

    def read(self, data, found):
        parser = self._make(data)
        try:
            for request in parser:
                headers = [(name.lower(), value) for name, value in request.headers]
                body = request.body.read()
                if len(body) < int(dict(headers).get("content-length", 0)):
                    return "waits"
                found.append((request.method, request.uri, headers, body))
                if request.should_close():
                    return "closed"
        except (self._more, StopIteration):
            return "waits"
        except (self._error, OSError) as err:
            return f"refused: {type(err).__name__}: {err}"
        return "waits"


class WithWaitress:
    """waitress: its parser, fed as its channel feeds it."""

    def __init__(self):
        from waitress.adjustments import Adjustments
        from waitress.parser import HTTPRequestParser

        settings = Adjustments()
        self._make = lambda: HTTPRequestParser(settings)

    def read(self, data, found):
        while data:
            parser = self._make()
            try:
                while data and not parser.completed:
                    data = data[parser.received(data) :]
            except ValueError as err:  # Raised by urlsplit; waitress does not catch it.
                return f"refused: {err}"
            if parser.error:
                return f"refused: {parser.error.body}"
            if not parser.completed:
                return "waits"
            if parser.empty:
                continue
            headers = [
                (name.lower().replace("_", "-"), value) for name, value in parser.headers.items()
            ]
            found.append(
                (parser.command, parser.request_uri, headers, parser.get_body_stream().read())
            )
            if parser.connection_close:
                return "closed"
        return "waits"


def text(value):
    """Return bytes as text for JSON."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def main():
    peer = {"h11": WithH11, "gunicorn": WithGunicorn, "waitress": WithWaitress}[sys.argv[1]]()
    with open(sys.argv[2], encoding="ascii") as file:
        streams = json.load(file)
    for stream in streams:
        found = []
        end = peer.read(stream.encode("latin-1"), found)
        requests = [
            [
                text(method),
                text(target),
                [[text(name), text(value)] for name, value in headers],
                text(body),
            ]
            for method, target, headers, body in found
        ]
        print(json.dumps([requests, end]))


if __name__ == "__main__":
    main()
