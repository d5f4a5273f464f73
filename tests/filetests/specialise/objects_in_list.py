# test specialise
# Objects that hold tensors go into a list whose length is known only at run time: what is known of their tensors is joined.
# input x=f32[3]

class Hypothesis:
    score: float
    state: Tensor

    def __init__(self, score: float, state: Tensor):
        self.score = score
        self.state = state

class Net(Module):
    pass

def forward(self: Net, x: Tensor, n: int) -> Tensor:
    kept: List[Hypothesis] = []
    for i in range(n):
        kept.append(Hypothesis(float(i), x * i))
    return kept[0].state + 1

# expect:
# forward
# graph(v0: Tensor, v1: int) {
#   v4: bool = const true
#   v10: int = const 0
#   v14: int = const 1
#   v2: f32[3] = unbox(v0)
#   v3: List[test.Hypothesis] = list()
#   loop(v1, v4) { |v5: int|
#     v6: float = aten::Float.Scalar(v5)
#     v7: f32[3] = aten::mul.Scalar(v2, v5)
#     v8: test.Hypothesis = new @test.Hypothesis()
#     set_attr "score" (v8, v6)
#     v9: Tensor = box(v7)
#     set_attr "state" (v8, v9)
#     aten::append.t(v3, v8)
#     yield v4
#   }
#   v11: test.Hypothesis = aten::__getitem__.t(v3, v10)
#   v12: Tensor = get_attr "state" (v11)
#   v13: f32[3] = unbox(v12)
#   v15: f32[3] = aten::add.Scalar(v13, v14, v14)
#   v16: Tensor = box(v15)
#   yield v16
# }
