# test specialise
# input x=f32[N]
#
# A check of a size known only at run time stays as a branch that raises; one of a known size is settled here.


class Net:
    pass


def forward(self: Net, x: Tensor) -> Tensor:
    if x.dim() != 1:
        raise ValueError("a vector is wanted")
    if x.size(0) < 2:
        raise ValueError("too short")
    return x * 2

# expect:
# forward
# graph(v0: Tensor) {
#   v3: int = const 2
#   v5: str = const "too short"
#   v1: f32[v2], v2: int = unbox(v0)
#   v4: bool = aten::lt.int(v2, v3)
#   if(v4) {
#     raise "builtins.ValueError" (v5)
#     unreachable
#   } else {
#     yield
#   }
#   v6: f32[v2] = aten::mul.Scalar(v1, v3)
#   v7: Tensor = box(v6)
#   yield v7
# }
