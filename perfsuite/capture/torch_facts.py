"""What only torch can say about the software of a run."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from perfsuite.capture.verbose import known_headers
from perfsuite.onednn import header_facts

_IPEX = "intel_extension_for_pytorch"


def torch_facts() -> dict[str, Any]:
    """The fields of :class:`perfsuite.records.Environment` that torch knows.

    IPEX is never imported here, since that changes which operators run.

    Raises:
        ModuleNotFoundError: torch is not installed.
    """
    import torch

    ipex, ipex_commit = _ipex()
    return {
        "torch": str(torch.__version__),
        "torch_commit": torch.version.git_version,
        "torch_threads": torch.get_num_threads(),
        "torch_interop_threads": torch.get_num_interop_threads(),
        "ipex": ipex,
        "ipex_commit": ipex_commit,
        "onednn": _onednn(torch.__config__.show()),
    }


def _onednn(config: str) -> tuple[dict[str, str], ...]:
    """Every copy of oneDNN in the process: torch's by its build text, and what each said of itself when heard."""
    copies = {copy["built_into"]: copy for copy in onednn_copies(config)}
    for name, header in known_headers().items():
        said = header_facts(header)
        # torch's build text names the commit where the verbose header of some builds says "N/A".
        heard = {key: value for key, value in said[0].items() if value != "N/A"} if said else {}
        copies[name] = {**heard, **copies.get(name, {}), "built_into": name}
    return tuple(copies.values())


def onednn_copies(config: str) -> tuple[dict[str, str], ...]:
    """The oneDNN that torch was built with, by the text of ``torch.__config__.show()``."""
    found = re.findall(r"(?:Intel\(R\) )?(?:MKL-DNN|oneDNN) (v\S+) \(Git Hash ([^)\s]+)\)", config)
    return tuple({"version": version, "commit": commit, "built_into": "torch"} for version, commit in found)


def _ipex() -> tuple[str | None, str | None]:
    """Version and commit of IPEX where it is loaded or installed."""
    module = sys.modules.get(_IPEX)
    try:
        version = importlib.metadata.version(_IPEX)
    except importlib.metadata.PackageNotFoundError:
        if module is None:
            return None, None
        version = None
    version = getattr(module, "__version__", version)
    text = _ipex_version_file()
    # The package's own word is longer than the registry's: "2.8.0+cpu".
    return _quoted("__version__", text) or version, _quoted("__ipex_gitrev__", text)


def _ipex_version_file() -> str:
    """A file that IPEX's build writes; reading it as text does what importing the package must not."""
    try:
        spec = importlib.util.find_spec(_IPEX)
        return "" if spec is None or not spec.origin else Path(spec.origin).with_name("_version.py").read_text("utf-8")
    except (OSError, ValueError):  # ValueError: a module that was put together by hand has no spec.
        return ""


def _quoted(name: str, text: str) -> str | None:
    found = re.search(rf'^{name} = "([^"]+)"', text, re.MULTILINE)
    return found.group(1) if found else None
