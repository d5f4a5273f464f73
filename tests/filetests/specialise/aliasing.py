# test specialise
# input x=f32[2]
#
# Two names of one list are one list, and two names of one tensor one tensor; a copy is another.


class Net:
    pass


def forward(self: Net, x: Tensor) -> Tensor:
    a = [x * 2]
    b = a
    c = a[0].clone()
    b[0].add_(1)
    b.append(c)
    return a[0] + a[1]

# expect:
# forward
# graph(v0: Tensor) {
#   v2: int = const 2
#   v4: int = const 1
#   v1: f32[2] = unbox(v0)
#   v3: f32[2] = aten::mul.Scalar(v1, v2)
#   v5: f32[2] = aten::add.Scalar(v3, v4, v4)
#   v6: f32[2] = aten::add.Tensor(v5, v3, v4)
#   v7: Tensor = box(v6)
#   yield v7
# }
