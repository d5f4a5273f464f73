"""torch.nn: padding."""

from torch import Tensor
import torch.nn.functional as F


class ConstantPad1d(Module):
    """Extends one axis by a value."""

    def __init__(self, padding, value: float):
        super().__init__()
        self.padding = per_axis(padding, 2)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", float(self.value))


class ConstantPad2d(Module):
    """Extends two axes by a value."""

    def __init__(self, padding, value: float):
        super().__init__()
        self.padding = per_axis(padding, 4)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", float(self.value))


class ConstantPad3d(Module):
    """Extends three axes by a value."""

    def __init__(self, padding, value: float):
        super().__init__()
        self.padding = per_axis(padding, 6)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", float(self.value))


class ZeroPad1d(ConstantPad1d):
    """Extends one axis by zeros."""

    def __init__(self, padding):
        super().__init__(padding, 0.0)


class ZeroPad2d(ConstantPad2d):
    """Extends two axes by zeros."""

    def __init__(self, padding):
        super().__init__(padding, 0.0)


class ZeroPad3d(ConstantPad3d):
    """Extends three axes by zeros."""

    def __init__(self, padding):
        super().__init__(padding, 0.0)


class ReflectionPad1d(Module):
    """Extends one axis by reflection."""

    def __init__(self, padding):
        super().__init__()
        self.padding = per_axis(padding, 2)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "reflect")


class ReflectionPad2d(Module):
    """Extends two axes by reflection."""

    def __init__(self, padding):
        super().__init__()
        self.padding = per_axis(padding, 4)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "reflect")


class ReflectionPad3d(Module):
    """Extends three axes by reflection."""

    def __init__(self, padding):
        super().__init__()
        self.padding = per_axis(padding, 6)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "reflect")


class ReplicationPad1d(Module):
    """Extends one axis by the values at the ends."""

    def __init__(self, padding):
        super().__init__()
        self.padding = per_axis(padding, 2)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "replicate")


class ReplicationPad2d(Module):
    """Extends two axes by the values at the ends."""

    def __init__(self, padding):
        super().__init__()
        self.padding = per_axis(padding, 4)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "replicate")


class ReplicationPad3d(Module):
    """Extends three axes by the values at the ends."""

    def __init__(self, padding):
        super().__init__()
        self.padding = per_axis(padding, 6)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "replicate")


class CircularPad1d(Module):
    """Extends one axis as if it were periodic."""

    def __init__(self, padding):
        super().__init__()
        self.padding = per_axis(padding, 2)

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 2 and input.dim() != 3:
            raise ValueError(f"expected 2D or 3D input (got {input.dim()}D input)")
        return F.pad(input, self.padding, "circular")


class CircularPad2d(Module):
    """Extends two axes as if it were periodic."""

    def __init__(self, padding):
        super().__init__()
        self.padding = per_axis(padding, 4)

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 3 and input.dim() != 4:
            raise ValueError(f"expected 3D or 4D input (got {input.dim()}D input)")
        return F.pad(input, self.padding, "circular")


class CircularPad3d(Module):
    """Extends three axes as if it were periodic."""

    def __init__(self, padding):
        super().__init__()
        self.padding = per_axis(padding, 6)

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4 and input.dim() != 5:
            raise ValueError(f"expected 4D or 5D input (got {input.dim()}D input)")
        return F.pad(input, self.padding, "circular")
