"""Operators on strings and containers as compositions of others."""


@op("aten::lt.str")
def str_lt(a: str, b: str) -> bool:
    """a < b by the order of bytes"""
    return torch.ops.kiln.str_cmp(a, b) < 0


@op("aten::le.str")
def str_le(a: str, b: str) -> bool:
    """a <= b by the order of bytes"""
    return torch.ops.kiln.str_cmp(a, b) <= 0


@op("aten::gt.str")
def str_gt(a: str, b: str) -> bool:
    """a > b by the order of bytes"""
    return torch.ops.kiln.str_cmp(a, b) > 0


@op("aten::ge.str")
def str_ge(a: str, b: str) -> bool:
    """a >= b by the order of bytes"""
    return torch.ops.kiln.str_cmp(a, b) >= 0


@op("aten::ne.str")
def str_ne(a: str, b: str) -> bool:
    """not a == b"""
    return not (a == b)


@op("aten::ne.int_list")
def int_list_ne(a: List[int], b: List[int]) -> bool:
    """not a == b"""
    return not (a == b)


@op("aten::ne.float_list")
def float_list_ne(a: List[float], b: List[float]) -> bool:
    """not a == b"""
    return not (a == b)


@op("aten::ne.bool_list")
def bool_list_ne(a: List[bool], b: List[bool]) -> bool:
    """not a == b"""
    return not (a == b)


@op("aten::ne.str_list")
def str_list_ne(a: List[str], b: List[str]) -> bool:
    """not a == b"""
    return not (a == b)


@op("aten::ne.Tensor_list")
def tensor_list_ne(a: List[Tensor], b: List[Tensor]) -> bool:
    """not a == b"""
    return not (a == b)


@op("prim::min.int_list")
def int_list_min(l: List[int], r: List[int]) -> List[int]:
    """the lesser list in lexicographic order"""
    for i in range(min(len(l), len(r))):
        if l[i] != r[i]:
            return l if l[i] < r[i] else r
    return l if len(l) <= len(r) else r


@op("prim::max.int_list")
def int_list_max(l: List[int], r: List[int]) -> List[int]:
    """the greater list in lexicographic order"""
    for i in range(min(len(l), len(r))):
        if l[i] != r[i]:
            return l if l[i] > r[i] else r
    return l if len(l) >= len(r) else r


@op("aten::__derive_index")
def derive_index(index: int, start: int, step: int) -> int:
    """start + index * step: the value of a range at an index"""
    return start + index * step
