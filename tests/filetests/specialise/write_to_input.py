# test specialise
# input x=f32[2]
#
# An input belongs to the caller, who sees what is written to it.


class Net:
    pass


def forward(self: Net, x: Tensor) -> Tensor:
    x.add_(1)
    return x * 2

# expect:
# forward
# graph(v0: Tensor) {
#   v2: int = const 1
#   v4: int = const 2
#   v1: f32[2] = unbox(v0)
#   v3: f32[2] = aten::add.Scalar(v1, v2, v2)
#   v5: f32[2] = aten::mul.Scalar(v3, v4)
#   v6: Tensor = box(v5)
#   yield v6
# }
