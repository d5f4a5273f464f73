# test specialise
# input x=f32[2]
#
# What prints keeps its order; what is printed of the module is known here.


class Net:
    pass


def forward(self: Net, x: Tensor, n: int) -> Tensor:
    print("n is", n)
    if n > 3:
        print("many")
    print(x.size(0))
    return x
