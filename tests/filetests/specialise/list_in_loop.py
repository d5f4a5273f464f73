# test specialise
# input x=f32[2]
#
# How often the loop runs is known only at run time, and so is the length of the list: it becomes a run-time list
# before the loop.


class Net:
    pass


def forward(self: Net, x: Tensor, n: int) -> List[Tensor]:
    out: List[Tensor] = []
    for i in range(n):
        out.append(x * i)
    return out

# expect:
# forward
# graph(v0: Tensor, v1: int) {
#   v4: bool = const true
#   v2: f32[2] = unbox(v0)
#   v3: List[Tensor] = list()
#   v9: List[Tensor] = loop(v1, v4, v3) { |v5: int, v6: List[Tensor]|
#     v7: f32[2] = aten::mul.Scalar(v2, v5)
#     v8: Tensor = box(v7)
#     aten::append.t(v6, v8)
#     yield v4, v6
#   }
#   yield v9
# }
