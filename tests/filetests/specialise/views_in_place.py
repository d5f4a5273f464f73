# test specialise
# input x=f32[4,3]
#
# A write through a view of a view changes the base and every other view of it: the writes become WriteViews, and a
# view that is read later is computed again from the new base.


class Net:
    pass


def forward(self: Net, x: Tensor) -> Tuple[Tensor, Tensor]:
    y = x + 1
    row = y[1]
    y[1:3, 0].mul_(2)
    return y, row

# expect:
# forward
# graph(v0: Tensor) {
#   v2: int = const 1
#   v4: int = const 0
#   v5: int = const 3
#   v8: int = const 2
#   v1: f32[4, 3] = unbox(v0)
#   v3: f32[4, 3] = aten::add.Scalar(v1, v2, v2)
#   v6: f32[2, 3] = aten::slice.Tensor(v3, v4, v2, v5, v2)
#   v7: f32[2] = aten::select.int(v6, v2, v4)
#   v9: f32[2] = aten::mul.Scalar(v7, v8)
#   v10: f32[2, 3] = write_view aten::select.int (v6, v9, v2, v4)
#   v11: f32[4, 3] = write_view aten::slice.Tensor (v3, v10, v4, v2, v5, v2)
#   v12: Tensor = box(v11)
#   v13: f32[3] = aten::select.int(v11, v4, v2)
#   v14: Tensor = box(v13)
#   v15: Tuple[Tensor, Tensor] = tuple(v12, v14)
#   yield v15
# }
