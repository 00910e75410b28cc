"""perfsuite: where the time of a CPU training step goes, operator by operator.

Importing the package is cheap on purpose: pytest loads the plugin in every session of every project it
is installed in, so nothing here may import torch, numpy or rich.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfsuite.capture.training_step import TrainingStep

__all__ = ["TrainingStep", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "TrainingStep":
        from perfsuite.capture.training_step import TrainingStep

        return TrainingStep
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
