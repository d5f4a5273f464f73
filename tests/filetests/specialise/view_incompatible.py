# test specialise
# A view that would have to copy raises, as in PyTorch; a reshape copies.
# input x=f32[2,3]

class Net(Module):
    pass

def forward(self: Net, x: Tensor) -> Tensor:
    return x.t().view([6])

# expect:
# forward
# graph(v0: Tensor) {
#   v2: str = const "view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces). Use .reshape(...) instead."
#   v1: f32[2, 3] = unbox(v0)
#   raise "RuntimeError" (v2)
#   unreachable
# }
