# SPDX-License-Identifier: Apache-2.0
"""Asks a Prometheus over HTTP, with an end to all waiting."""

import base64
import http.client
import json
import math
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlencode, urlsplit, urlunsplit

from nova_qos.core import errors

#: How long to wait for a part of an answer, and for all of it, in seconds.
_PART_S, _WHOLE_S = 30, 60
#: What Prometheus itself is told to give up after.
_QUERY_S = 25
_MOST_BYTES, _CHUNK = 2**26, 2**16
#: Beyond it, a number is no figure of a host.
_MOST = 1e15
_DO = "Check the URL, and that this Prometheus runs and can be reached from here."
_LONGEST = 200


@dataclass(frozen=True)
class Sample:
    """A number with its labels; ``at_s``: the time on Prometheus' clock, in seconds since 1970. A
    number that is none, or that no host can have, is None."""

    labels: Mapping[str, str]
    value: float | None
    at_s: float


@dataclass(frozen=True)
class Curve:
    """A series of numbers over time, in seconds since 1970."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float | None]]


class Prometheus:
    """A Prometheus at an address, which may have a path, a user and a password.

    Each question raises QosError when no answer can be had.

    :raises ValueError: the URL is none of HTTP
    """

    def __init__(self, url: str, part_s: float = _PART_S, whole_s: float = _WHOLE_S) -> None:
        split = _split(url)
        self._authorization = _authorization(split)
        self.url = _without_user(split).rstrip("/")
        self._part_s, self._whole_s = part_s, whole_s
        self._opener = urllib.request.build_opener(_NoRedirect)

    def now(self, query: str) -> list[Sample]:
        """What a query finds at this moment."""
        return self._ask("query", "vector", {"query": query}, _sample)

    def over(self, query: str, begin_s: float, end_s: float, step_s: float) -> list[Curve]:
        """What a query finds between two times, each so many seconds."""
        return self._ask("query_range", "matrix", {
            "query": query, "start": f"{begin_s:.3f}", "end": f"{end_s:.3f}",
            "step": f"{step_s:.3f}"}, _curve)

    def _ask(self, what: str, kind: str, asked: Mapping[str, str], read: Any) -> list[Any]:
        answer = self._answer(what, asked)
        try:
            if answer["status"] != "success":
                raise errors.QosError(
                    f"Prometheus at {self.url} refuses the question: {_short(answer['error'])}. "
                    "A shorter time may help; its log may say more.")
            if answer["data"]["resultType"] != kind:
                raise ValueError(f"no {kind}")
            return [read(each) for each in answer["data"]["result"]]
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._foreign() from error

    def _answer(self, what: str, asked: Mapping[str, str]) -> Any:
        # by POST, since the ids of many servers are too long for a URL
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            f"{self.url}/api/v1/{what}",
            data=urlencode({**asked, "timeout": f"{_QUERY_S}s"}).encode(),
            headers=self._authorization)
        try:
            status, body = self._body(request)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise errors.QosError(
                f"Prometheus at {self.url} cannot be asked: {_short(reason)}. {_DO}") from error
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise self._refused(status) if status >= 300 else self._foreign() from error

    def _body(self, request: urllib.request.Request) -> tuple[int, bytes]:
        until_s = time.monotonic() + self._whole_s
        try:
            response = self._opener.open(request, timeout=self._part_s)
        except urllib.error.HTTPError as error:
            # with an error, Prometheus says in the same form what is wrong
            response = error
        with response:
            body = bytearray()
            while chunk := response.read1(_CHUNK):
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise ValueError("its answer is too long")
                if time.monotonic() > until_s:
                    raise TimeoutError("timed out")
        return int(response.status), bytes(body)

    def _refused(self, status: int) -> errors.QosError:
        what = {401: "give a user and a password in the URL", 403: "this user may not ask",
                404: "the URL lacks a path, or has one too many"}
        word = "redirects elsewhere: give the URL it redirects to" if status < 400 else (
            what.get(status, "look at its log, and at that of a proxy before it"))
        return errors.QosError(f"Prometheus at {self.url} answers with HTTP {status}: {word}.")

    def _foreign(self) -> errors.QosError:
        return errors.QosError(
            f"What answers at {self.url} does not answer as Prometheus does. {_DO}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nowhere: a question and a password go only to whom they are meant for."""

    def redirect_request(self, *_about: Any) -> None:
        return None


def quoted(text: str) -> str:
    """A string of PromQL."""
    # the escapes of JSON are among those of PromQL; a lone surrogate is none
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)


def number(text: object) -> float | None:
    """A number as Prometheus writes it; None for one that is no figure of a host.

    :raises ValueError: it is no number
    :raises TypeError: it is no text
    """
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is no text")
    found = float(text)
    return found if math.isfinite(found) and abs(found) <= _MOST else None


def _sample(found: Any) -> Sample:
    at_s, value = found["value"]
    return Sample(_labels(found), number(value), _time(at_s))


def _curve(found: Any) -> Curve:
    return Curve(_labels(found), [(_time(at_s), number(value)) for at_s, value in found["values"]])


def _time(at_s: Any) -> float:
    # the last second of the year 9999: no date can be made of a later one
    if not 0 <= at_s < 253402300800:
        raise ValueError(f"{at_s!r} is no time")
    return float(at_s)


def _labels(found: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in found["metric"].items()}


def _split(url: str) -> SplitResult:
    try:
        split = urlsplit(url)
        split.port  # noqa: B018 - raises where it is no number
        if split.scheme in ("http", "https") and split.hostname and not (
                split.query or split.fragment):
            return split
    except ValueError:
        pass
    if "@" in url:
        # where it is wrong, nobody knows what of it is the password
        raise ValueError("this is no URL of a Prometheus; write it like "
                         "http://user:password@192.0.2.1:9090, and in the password %2F for a "
                         "slash, %23 for a hash and %3F for a question mark")
    raise ValueError(
        f"{url!r} is no URL of a Prometheus; write it like http://192.0.2.1:9090")


def _authorization(split: SplitResult) -> dict[str, str]:
    if split.username is None:
        return {}
    secret = f"{unquote(split.username)}:{unquote(split.password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(secret).decode()}"}


def _without_user(split: SplitResult) -> str:
    return urlunsplit(split._replace(netloc=split.netloc.rpartition("@")[2]))


def _short(text: object) -> str:
    """A text of others in one line."""
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
