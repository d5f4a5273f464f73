# test specialise
# input x=f32[2]
# method forward
# method reset
# attribute total=[0.0, 0.0]
# attribute calls=0
# attribute scale=2.0
#
# What a method changes in the module is state: it is loaded at the beginning and stored at the end, by every method.
# What no method changes is a constant.


class Net:
    total: Tensor
    calls: int
    scale: float


def forward(self: Net, x: Tensor) -> Tensor:
    self.calls += 1
    self.total.add_(x * self.scale)
    return self.total / self.calls


def reset(self: Net) -> int:
    before = self.calls
    self.calls = 0
    return before
