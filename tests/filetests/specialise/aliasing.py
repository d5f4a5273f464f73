# test specialise
# input x=f32[2]
#
# Two names of one list are one list, and two names of one tensor one tensor; a copy is another.


class Net:
    pass


def forward(self: Net, x: Tensor) -> Tensor:
    a = [x * 2]
    b = a
    c = a[0].clone()
    b[0].add_(1)
    b.append(c)
    return a[0] + a[1]
