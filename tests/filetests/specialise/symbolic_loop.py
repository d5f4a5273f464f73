# test specialise
# input x=f32[T,3]
#
# A loop over a symbolic length is kept as one loop that carries a tensor; the size of a row is known in it.


class Net:
    pass


def forward(self: Net, x: Tensor) -> Tensor:
    h = torch.zeros([3])
    for t in range(x.size(0)):
        h = torch.tanh(h + x[t])
    return h

# expect:
# forward
# graph(v0: Tensor) {
#   v3: bool = const true
#   v4: f32[3] = const f32[3]{0.0, 0.0, 0.0}
#   v7: int = const 0
#   v9: int = const 1
#   v1: f32[v2, 3], v2: int = unbox(v0)
#   v12: f32[3] = loop(v2, v3, v4) { |v5: int, v6: f32[3]|
#     v8: f32[3] = aten::select.int(v1, v7, v5)
#     v10: f32[3] = aten::add.Tensor(v6, v8, v9)
#     v11: f32[3] = aten::tanh(v10)
#     yield v3, v11
#   }
#   v13: Tensor = box(v12)
#   yield v13
# }
