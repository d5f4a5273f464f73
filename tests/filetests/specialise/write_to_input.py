# test specialise
# input x=f32[2]
#
# An input belongs to the caller, who sees what is written to it.


class Net:
    pass


def forward(self: Net, x: Tensor) -> Tensor:
    x.add_(1)
    return x * 2
