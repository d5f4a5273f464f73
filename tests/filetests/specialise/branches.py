# test specialise
# input x=f32[N,3]
#
# Both branches of a test on a run-time value stay; what they leave different is the result of the `if`, what they leave
# the same is not.


class Net:
    pass


def forward(self: Net, x: Tensor, flip: bool) -> Tuple[Tensor, int]:
    k = 1
    y = x
    if flip:
        y = -x
        k = 2
    return y, k * x.size(1)

# expect:
# forward
# graph(v0: Tensor, v1: bool) {
#   v5: int = const 1
#   v6: int = const 2
#   v9: int = const 3
#   v2: f32[v3, 3], v3: int = unbox(v0)
#   v7: int, v8: f32[v3, 3] = if(v1) {
#     v4: f32[v3, 3] = aten::neg(v2)
#     yield v6, v4
#   } else {
#     yield v5, v2
#   }
#   v10: int = aten::mul.int(v7, v9)
#   v11: Tensor = box(v8)
#   v12: Tuple[Tensor, int] = tuple(v11, v10)
#   yield v12
# }
