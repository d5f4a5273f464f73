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

# expect:
# forward
# graph(v0: Tensor) {
#   v3: int = const 2
#   v4: bool = const true
#   v10: int = const 0
#   v12: int = const -1
#   v14: int = const 4
#   v27: int = const 1
#   v43: str = const "The size of tensor a must match the size of tensor b at non-singleton dimension 0"
#   v1: f32[4] = unbox(v0)
#   v2: List[Tensor] = list()
#   v30: List[Tensor] = loop(v3, v4, v2) { |v5: int, v6: List[Tensor]|
#     v7: int = aten::mul.int(v3, v5)
#     v8: int = aten::mul.int(v3, v5)
#     v9: int = aten::add.int(v8, v3)
#     v11: int = prim::min.int(v7, v10)
#     v13: int = prim::max.int(v11, v12)
#     v15: int = aten::mul.int(v13, v14)
#     v16: int = aten::sub.int(v7, v15)
#     v17: int = prim::max.int(v10, v16)
#     v18: int = prim::min.int(v14, v17)
#     v19: int = prim::min.int(v9, v10)
#     v20: int = prim::max.int(v12, v19)
#     v21: int = aten::mul.int(v14, v20)
#     v22: int = aten::sub.int(v9, v21)
#     v23: int = prim::max.int(v10, v22)
#     v24: int = prim::min.int(v14, v23)
#     v25: int = aten::sub.int(v24, v18)
#     v26: int = prim::max.int(v10, v25)
#     v28: f32[v26] = aten::slice.Tensor(v1, v10, v7, v9, v27)
#     v29: Tensor = box(v28)
#     aten::append.t(v6, v29)
#     yield v4, v6
#   }
#   v31: Tensor = aten::__getitem__.t(v30, v27)
#   v32: f32[v33], v33: int = unbox(v31)
#   v34: Tensor = aten::__getitem__.t(v30, v10)
#   v35: f32[v36], v36: int = unbox(v34)
#   v37: bool = aten::eq.int(v33, v27)
#   v38: bool = aten::eq.int(v36, v27)
#   v39: bool = aten::eq.int(v33, v36)
#   v40: bool = aten::__or__.bool(v37, v38)
#   v41: bool = aten::__or__.bool(v40, v39)
#   v42: bool = aten::__not__(v41)
#   if(v42) {
#     raise "RuntimeError" (v43)
#     unreachable
#   } else {
#     yield
#   }
#   v44: int = aten::Int.bool(v37)
#   v45: int = aten::sub.int(v36, v33)
#   v46: int = aten::mul.int(v44, v45)
#   v47: int = aten::add.int(v33, v46)
#   v48: f32[v47] = aten::sub.Tensor(v32, v35, v27)
#   v49: Tensor = box(v48)
#   yield v49
# }
