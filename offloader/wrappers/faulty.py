"""Faulty: a port that goes wrong by a script, for tests and for sandboxes."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

from offloader.errors import Transient
from offloader.ports import Delivery


class _Named(Protocol):
    name: str


P = TypeVar("P", bound=_Named)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was made: the method, its position arguments, and its keywords."""

    method: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    method: str
    first: int
    last: float
    raise_: BaseException | None
    before: Callable[[], object] | None
    after: Callable[[], object] | None
    lost: bool
    cut: int | None
    corrupt: bool


class Faulty(Generic[P]):
    """Wraps a source or a store. `port` is what to hand on; `calls` lists what was asked, in order.

    With several faults on one call, the last one scripted counts.
    """

    def __init__(self, port: P) -> None:
        self.calls: list[Call] = []
        self._wrapped = port
        self._faults: list[_Fault] = []
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def port(self) -> P:
        """This wrapper, typed as the port that it wraps."""
        return cast("P", self)

    def on(
        self,
        method: str,
        *,
        nth: int = 1,
        repeat: float = 1,
        raise_: BaseException | None = None,
        before: Callable[[], object] | None = None,
        after: Callable[[], object] | None = None,
        lost: bool = False,
        cut: int | None = None,
        corrupt: bool = False,
    ) -> Faulty[P]:
        """Script a fault for the `nth` call of `method` and the following ones, `repeat` in all.

        `before` runs first (it may end the process). `raise_` is then raised and nothing done. Otherwise the call
        is made, and `after` runs. `lost` raises Transient(maybe_done=True) instead of answering. Of a body read,
        `cut` lets that many bytes through and raises Transient; `corrupt` changes its first byte.
        """
        if not callable(getattr(self._wrapped, method, None)):
            raise ValueError(f"{type(self._wrapped).__name__} has no method {method!r}")
        self._faults.append(
            _Fault(
                method=method,
                first=nth,
                last=nth + repeat - 1,
                raise_=raise_,
                before=before,
                after=after,
                lost=lost,
                cut=cut,
                corrupt=corrupt,
            )
        )
        return self

    def count(self, method: str) -> int:
        """How often the method was called."""
        return self._counts[method]

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._wrapped, name)
        if name.startswith("_") or not callable(attribute):
            return attribute
        return lambda *args, **kwargs: self._call(name, attribute, args, kwargs)

    def _call(self, name: str, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._lock:
            self.calls.append(Call(name, args, kwargs))
            self._counts[name] += 1
            number = self._counts[name]
        faults = [fault for fault in self._faults if fault.method == name and fault.first <= number <= fault.last]
        if not faults:
            return method(*args, **kwargs)
        fault = faults[-1]
        if fault.before:
            fault.before()
        if fault.raise_ is not None:
            raise fault.raise_
        answer = method(*args, **kwargs)
        if fault.after:
            fault.after()
        if fault.lost:
            raise Transient(f"the answer to {name} was lost", maybe_done=True)
        if fault.cut is not None or fault.corrupt:
            return _spoilt(answer, fault)
        return answer


def _spoilt(answer: Iterable[Any], fault: _Fault) -> Iterator[Any]:
    """Spoil a store's chunks, or the chunks of each of a source's deliveries."""
    items = iter(answer)
    first = next(items, None)
    if first is None:
        return iter(())
    everything = itertools.chain([first], items)
    return _spoilt_deliveries(everything, fault) if isinstance(first, Delivery) else _spoilt_body(everything, fault)


def _spoilt_deliveries(deliveries: Iterable[Delivery], fault: _Fault) -> Iterator[Delivery]:
    for delivery in deliveries:
        if delivery.chunks is not None:
            delivery.chunks = _spoilt_body(delivery.chunks, fault)
        yield delivery


def _spoilt_body(chunks: Iterable[bytes], fault: _Fault) -> Iterator[bytes]:
    left, corrupt = fault.cut, fault.corrupt
    for each in chunks:
        chunk = each
        if corrupt and chunk:
            chunk, corrupt = bytes([chunk[0] ^ 1]) + chunk[1:], False
        if left is None:
            yield chunk
            continue
        yield chunk[:left]
        left -= len(chunk)
        if left <= 0:
            break
    if left is not None:
        raise Transient(f"the body broke off after {fault.cut} bytes")
