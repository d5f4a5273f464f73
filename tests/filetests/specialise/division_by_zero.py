# test specialise
# A size makes the divisor 0 while compiling: the division raises, and is not folded to a number.
# input x=f32[2]

class Net(Module):
    pass

def forward(self: Net, x: Tensor) -> int:
    return 10 // (x.size(0) - 2)

# expect:
# forward
# graph(v0: Tensor) {
#   v2: str = const "integer division or modulo by zero"
#   v1: f32[2] = unbox(v0)
#   raise "ZeroDivisionError" (v2)
#   unreachable
# }
