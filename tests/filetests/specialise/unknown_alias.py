# test specialise
# input x=f32[2]
#
# Which tensor a write changes is chosen at run time: nothing is guessed.


class Net:
    pass


def forward(self: Net, x: Tensor, first: bool) -> Tensor:
    a = x + 1
    b = x + 2
    chosen = a if first else b
    chosen.mul_(3)
    return a + b

# expect:
# error[unsupported] at line 16: kiln does not support reading a tensor after a write to memory that may be the same (which one was chosen at run time) yet
