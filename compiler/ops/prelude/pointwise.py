"""Pointwise operators as compositions of core ones."""


@op("aten::square")
def square(self: Tensor) -> Tensor:
    """self * self"""
    return self * self
