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
