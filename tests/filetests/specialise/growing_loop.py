# test specialise
# input x=f32[1,3]
#
# A tensor that grows in a loop is carried with its size beside it.


class Net:
    pass


def forward(self: Net, x: Tensor, n: int) -> Tensor:
    y = x
    for i in range(n):
        y = torch.cat([y, x])
    return y

# expect:
# forward
# graph(v0: Tensor, v1: int) {
#   v3: bool = const true
#   v4: int = const 1
#   v10: int = const 0
#   v2: f32[1, 3] = unbox(v0)
#   v12: int, v13: f32[v12, 3] = loop(v1, v3, v4, v2) { |v5: int, v6: int, v7: f32[v6, 3]|
#     v8: int = aten::add.int(v4, v6)
#     v9: List[Any] = list(v7, v2)
#     v11: f32[v8, 3] = aten::cat(v9, v10)
#     yield v3, v8, v11
#   }
#   v14: Tensor = box(v13)
#   yield v14
# }
