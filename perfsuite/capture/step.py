"""What is measured: a function with its arguments, prepared and cleaned up outside the measured time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from perfsuite.errors import UsageError


@dataclass(frozen=True)
class Step:
    """``function(*args, **kwargs)``; ``setup`` and ``teardown`` as in pytest-benchmark's ``pedantic``.

    ``setup()`` may return ``(args, kwargs)`` for the call; ``teardown(*args, **kwargs)`` follows it.
    """

    function: Callable[..., Any]
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    setup: Callable[[], Any] | None = None
    teardown: Callable[..., Any] | None = None

    @contextmanager
    def ready(self) -> Iterator[Callable[[], Any]]:
        """The call, ready to be made once; set-up has run before and teardown runs after the block.

        Raises:
            UsageError: ``setup`` returned arguments although there are some already, or not a pair.
        """
        args, kwargs = self.args, self.kwargs
        if self.setup is not None and (made := self.setup()):
            if args or kwargs:
                raise UsageError("setup: it returned arguments, but args or kwargs were given as well")
            try:
                args, kwargs = made
            except (TypeError, ValueError):
                raise UsageError(f"setup: expected (args, kwargs) or None, found {type(made).__name__}") from None
        yield partial(self.function, *args, **kwargs)
        if self.teardown is not None:
            self.teardown(*args, **kwargs)
