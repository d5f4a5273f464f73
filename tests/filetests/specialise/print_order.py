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

# expect:
# forward
# graph(v0: Tensor, v1: int) {
#   v3: str = const "n is"
#   v4: int = const 3
#   v6: str = const "many"
#   v7: int = const 2
#   v2: f32[2] = unbox(v0)
#   print(v3, v1)
#   v5: bool = aten::gt.int(v1, v4)
#   if(v5) {
#     print(v6)
#     yield
#   } else {
#     yield
#   }
#   print(v7)
#   v8: Tensor = box(v2)
#   yield v8
# }
