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
