# test specialise
# input x=f32[4]
#
# A loop of known length is unrolled, and the list in it dissolves: nothing of either is left.


class Net:
    pass


def forward(self: Net, x: Tensor) -> Tensor:
    parts: List[Tensor] = []
    for i in range(2):
        parts.append(x[2 * i : 2 * i + 2])
    return parts[1] - parts[0]
