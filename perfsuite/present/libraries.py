"""Loading Jinja and matplotlib, which an installation may lack, or have in a state that cannot be loaded."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from perfsuite.errors import RenderError

#: What an import raises if the library is not there, is of another Python or NumPy (whose sizes then differ), or cannot
#: read its settings.  Anything else is a mistake of ours, and is not to be called a broken installation.
_FAILURES = (ImportError, OSError, ValueError)


@contextmanager
def libraries(what: str) -> Iterator[None]:
    """Within it the libraries that ``what`` needs are loaded.

    matplotlib's remarks about its folders and about a ``matplotlibrc`` are not shown: no figure depends on either.

    Raises:
        RenderError: one of them cannot be loaded.
    """
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    except _FAILURES as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise RenderError(
            f"{what} needs Jinja2 and matplotlib, which cannot be loaded ({said[:300]}): install perfsuite again"
        ) from error
    finally:
        logger.setLevel(level)
