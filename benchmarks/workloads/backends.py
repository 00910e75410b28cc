"""Turn a float32 eager workload into one of another dtype or backend, module paths intact.

bfloat16 is PyTorch's usual mixed precision: parameters stay float32, and forward *and loss* run under
``torch.autocast``, backward and optimizer outside of it.  IPEX additionally keeps bfloat16 copies of the
weights, as ``ipex.optimize(dtype=torch.bfloat16)`` does for its users.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from perfsuite.errors import UsageError

if TYPE_CHECKING:
    import torch

    from benchmarks.workloads.protocol import Built


def prepare(built: Built, dtype: str, backend: str) -> Built:
    """``built``, a float32 eager workload, changed to ``dtype`` and ``backend``.

    Raises:
        UsageError: the backend is not installed.
    """
    # IPEX swaps modules and must see the plain model; torch.compile must see autocast inside its graph.
    if backend == "ipex":
        built = _optimize_with_ipex(built, dtype)
    if dtype == "bfloat16":
        autocast_forward(built.model)
        built = replace(built, loss=built.loss and _autocast_loss(built.loss))
    if backend == "compile":
        import torch

        built = replace(built, model=cast("torch.nn.Module", torch.compile(built.model)))
    return built


def autocast_forward(model: torch.nn.Module) -> None:
    """From now on ``model.forward`` runs under bfloat16 autocast.

    The object gets a subclass of its own class: a wrapping module would prefix every module path, and a
    forward set on the instance would still run the original's weights after a deepcopy.
    """
    import torch

    plain: type[torch.nn.Module] = type(model)

    def forward(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return plain.forward(self, *args, **kwargs)

    model.__class__ = type(plain.__name__, (plain,), {"forward": forward, "__module__": plain.__module__})


def import_ipex() -> ModuleType:
    """The Intel Extension for PyTorch; importing it overrides operators, so it happens only when asked for.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import intel_extension_for_pytorch as ipex
    except ModuleNotFoundError as error:
        if error.name != "intel_extension_for_pytorch":
            raise
        raise UsageError(
            "backend 'ipex' needs intel-extension-for-pytorch, which is not installed: pip install 'perfsuite[ipex]'"
        ) from error
    return ipex


def _optimize_with_ipex(built: Built, dtype: str) -> Built:
    ipex = import_ipex()
    import torch

    model, optimizer = ipex.optimize(built.model, optimizer=built.optimizer, dtype=getattr(torch, dtype), inplace=True)
    return replace(built, model=model, optimizer=optimizer)


def _autocast_loss(loss: Callable[[Any, Any], torch.Tensor]) -> Callable[[Any, Any], torch.Tensor]:
    import torch

    def autocast_loss(output: Any, target: Any) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return loss(output, target)

    return autocast_loss
