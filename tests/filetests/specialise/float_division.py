# test specialise
# Floats follow IEEE 754: no division of theirs raises, and `/` of ints is one.
# input x=f32[2]

class Net(Module):
    pass

def forward(self: Net, x: Tensor, a: float) -> Tuple[float, float]:
    return a / 0.0, 1 / (x.size(0) - 2)

# expect:
# forward
# graph(v0: Tensor, v1: float) {
#   v3: float = const 0.0
#   v5: float = const inf
#   v2: f32[2] = unbox(v0)
#   v4: float = aten::div.float(v1, v3)
#   v6: Tuple[float, float] = tuple(v4, v5)
#   yield v6
# }
