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

# expect:
# forward
# graph(v3: Tensor) {
#   v5: int = const 1
#   v7: float = const 2.0
#   v0: int = state_load state0()
#   v1: Tensor = state_load state1()
#   v2: f32[2] = unbox(v1)
#   v4: f32[2] = unbox(v3)
#   v6: int = aten::add.int(v0, v5)
#   v8: f32[2] = aten::mul.Scalar(v4, v7)
#   v9: f32[2] = aten::add.Tensor(v2, v8, v5)
#   v10: f32[2] = aten::div.Scalar(v9, v6)
#   v11: Tensor = box(v9)
#   state_store state0 (v6)
#   state_store state1 (v11)
#   v12: Tensor = box(v10)
#   yield v12
# }
#
# reset
# graph() {
#   v3: int = const 0
#   v0: int = state_load state0()
#   v1: Tensor = state_load state1()
#   v2: f32[2] = unbox(v1)
#   v4: Tensor = box(v2)
#   state_store state0 (v3)
#   state_store state1 (v4)
#   yield v0
# }
#
# initial state
# graph() {
#   v0: int = const 0
#   v1: f32[2] = const f32[2]{0.0, 0.0}
#   v2: Tensor = box(v1)
#   state_store state0 (v0)
#   state_store state1 (v2)
#   yield
# }
