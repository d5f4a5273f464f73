"""Attention: the forms that PyTorch's fast paths call."""


def scores_of(query: Tensor, key: Tensor, attn_mask: Optional[Tensor], is_causal: bool, scale: Optional[float]) -> Tensor:
    """query @ key.T * scale + mask"""
    factor = 1.0 / math.sqrt(query.size(-1)) if scale is None else scale
    scores = torch.matmul(query, key.transpose(-2, -1)) * factor
    if is_causal:
        allowed = torch.ones([query.size(-2), key.size(-2)], dtype=torch.bool).tril(0)
        scores = scores.masked_fill(torch.logical_not(allowed), -float("inf"))
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(torch.logical_not(attn_mask), -float("inf"))
        else:
            scores = scores + attn_mask
    return scores


@op("aten::_scaled_dot_product_flash_attention_for_cpu")
def flash_attention(query: Tensor, key: Tensor, value: Tensor, dropout_p: float = 0.0, is_causal: bool = False, *, attn_mask: Optional[Tensor] = None, scale: Optional[float] = None) -> Tuple[Tensor, Tensor]:
    """Attention, and the logarithms of the sums of the exponentials of the scores"""
    if dropout_p > 0.0:
        raise NotImplementedError("kiln: dropout, which is random")
    half = query.dtype == torch.half or query.dtype == torch.bfloat16
    q = query.to(torch.float) if half else query
    k = key.to(torch.float) if half else key
    v = value.to(torch.float) if half else value
    scores = scores_of(q, k, attn_mask, is_causal, scale)
    return torch.matmul(torch._safe_softmax(scores, -1), v).to(query.dtype), torch.logsumexp(scores, [-1])


@op("aten::_scaled_dot_product_attention_math")
def attention_math(query: Tensor, key: Tensor, value: Tensor, attn_mask: Optional[Tensor] = None, dropout_p: float = 0.0, is_causal: bool = False, dropout_mask: Optional[Tensor] = None, *, scale: Optional[float] = None, enable_gqa: bool = False) -> Tuple[Tensor, Tensor]:
    """Attention and its weights"""
    if dropout_p > 0.0:
        raise NotImplementedError("kiln: dropout, which is random")
    if enable_gqa:
        key = key.repeat_interleave(query.size(-3) // key.size(-3), -3)
        value = value.repeat_interleave(query.size(-3) // value.size(-3), -3)
    half = query.dtype == torch.half or query.dtype == torch.bfloat16
    q = query.to(torch.float) if half else query
    k = key.to(torch.float) if half else key
    v = value.to(torch.float) if half else value
    weights = torch._safe_softmax(scores_of(q, k, attn_mask, is_causal, scale), -1)
    return torch.matmul(weights, v).to(query.dtype), weights.to(query.dtype)


def heads(x: Tensor, weight: Tensor, bias: Tensor, part: int, num_head: int) -> Tensor:
    """One of the three projections, by heads: [batch, heads, time, features]"""
    size = weight.size(0) // 3
    y = torch.linear(x, weight.narrow(0, part * size, size), bias.narrow(0, part * size, size))
    return y.reshape([x.size(0), x.size(1), num_head, size // num_head]).transpose(1, 2)


def excluded(mask: Tensor, mask_type: Optional[int], batch: int, num_head: int) -> Tensor:
    """Which scores do not count, to be broadcast to [batch, heads, time, time]"""
    own = mask if mask.dtype == torch.bool else mask != 0
    if mask_type is None:
        raise NotImplementedError("kiln: an attention mask without a type")
    if mask_type == 0:
        return own.reshape([1, 1, own.size(-2), own.size(-1)])
    if mask_type == 1:
        return own.reshape([batch, 1, 1, own.size(-1)])
    return own.expand([batch, num_head, own.size(-2), own.size(-1)])


@op("aten::_native_multi_head_attention")
def native_multi_head_attention(query: Tensor, key: Tensor, value: Tensor, embed_dim: int, num_head: int, qkv_weight: Tensor, qkv_bias: Tensor, proj_weight: Tensor, proj_bias: Tensor, mask: Optional[Tensor] = None, need_weights: bool = True, average_attn_weights: bool = True, mask_type: Optional[int] = None) -> Tuple[Tensor, Tensor]:
    """Projections, attention by heads, and the projection of the result; its weights"""
    if query.dim() != 3:
        raise RuntimeError("expected 3-D `query`, got {}-D tensor".format(query.dim()))
    batch = query.size(0)
    q = heads(query, qkv_weight, qkv_bias, 0, num_head)
    k = heads(key, qkv_weight, qkv_bias, 1, num_head)
    v = heads(value, qkv_weight, qkv_bias, 2, num_head)
    scores = torch.matmul(q * (1.0 / math.sqrt(embed_dim // num_head)), k.transpose(-2, -1))
    if mask is not None:
        scores = scores.masked_fill(excluded(mask, mask_type, batch, num_head), -float("inf"))
    weights = torch.softmax(scores, -1)
    mixed = torch.matmul(weights, v).transpose(1, 2).reshape([batch, query.size(1), embed_dim])
    out = torch.linear(mixed, proj_weight, proj_bias)
    if not need_weights:
        return out, torch.empty([0], dtype=out.dtype)
    return out, weights.mean([1]) if average_attn_weights else weights


@op("aten::_transformer_encoder_layer_fwd")
def transformer_encoder_layer(src: Tensor, embed_dim: int, num_heads: int, qkv_weight: Tensor, qkv_bias: Tensor, proj_weight: Tensor, proj_bias: Tensor, use_gelu: bool, norm_first: bool, eps: float, norm_weight_1: Tensor, norm_bias_1: Tensor, norm_weight_2: Tensor, norm_bias_2: Tensor, ffn_weight_1: Tensor, ffn_bias_1: Tensor, ffn_weight_2: Tensor, ffn_bias_2: Tensor, mask: Optional[Tensor] = None, mask_type: Optional[int] = None) -> Tensor:
    """Attention and two linear layers, each beside a shortcut and with a normalisation"""
    shape = [embed_dim]
    x = torch.layer_norm(src, shape, norm_weight_1, norm_bias_1, eps) if norm_first else src
    attended, weights = torch._native_multi_head_attention(x, x, x, embed_dim, num_heads, qkv_weight, qkv_bias, proj_weight, proj_bias, mask, False, True, mask_type)
    x = attended + src
    if not norm_first:
        x = torch.layer_norm(x, shape, norm_weight_1, norm_bias_1, eps)
    y = torch.layer_norm(x, shape, norm_weight_2, norm_bias_2, eps) if norm_first else x
    y = torch.linear(y, ffn_weight_1, ffn_bias_1)
    y = torch.gelu(y) if use_gelu else torch.relu(y)
    y = torch.linear(y, ffn_weight_2, ffn_bias_2) + x
    return y if norm_first else torch.layer_norm(y, shape, norm_weight_2, norm_bias_2, eps)
