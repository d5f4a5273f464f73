"""torchvision's operators on boxes."""


@op("torchvision::nms")
def nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The places of boxes, best score first, that overlap no better box by more than a threshold"""
    if dets.dim() != 2 or dets.size(1) != 4:
        raise RuntimeError("boxes should be a 2d tensor with 4 elements in dimension 1")
    if scores.dim() != 1 or scores.size(0) != dets.size(0):
        raise RuntimeError("boxes and scores should have same number of elements in dimension 0, got {} and {}".format(dets.size(0), scores.size(0)))
    order = torch.sort(scores, stable=True, dim=0, descending=True)[1]
    kept = torch.ops.kiln.nms(dets.index_select(0, order), iou_threshold)
    count = int(kept.sum())
    places = torch.ops.kiln.nonzero(kept, torch.tensor([dets.size(0)], dtype=torch.long), count)
    return order.index_select(0, places.select(1, 0))


def neighbours(at: Tensor, size: int) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """(place before, place after, weight of the one after, whether the coordinate counts) of coordinates"""
    counts = torch.logical_and(at >= -1.0, at <= float(size))
    x = torch.clamp(at, min=0.0)
    low = torch.clamp(torch.floor(x).to(torch.long), max=size - 1)
    high = torch.clamp(low + 1, max=size - 1)
    x = torch.where(low >= size - 1, low.to(at.dtype), x)
    return low, high, x - low.to(at.dtype), counts


@op("torchvision::roi_align")
def roi_align(input: Tensor, rois: Tensor, spatial_scale: float, pooled_height: int, pooled_width: int, sampling_ratio: int, aligned: bool) -> Tensor:
    """Means of bilinear samples over a grid of bins in each box (image, left, top, right, bottom)"""
    if rois.dim() != 2 or rois.size(1) != 5:
        raise RuntimeError("rois must have shape as Tensor[K, 5]")
    if sampling_ratio <= 0:
        raise NotImplementedError("kiln: roi_align with a number of samples that depends on the boxes")
    s = sampling_ratio
    n = rois.size(0)
    offset = 0.5 if aligned else 0.0
    box = rois.narrow(1, 1, 4) * spatial_scale - offset
    left = box.select(1, 0)
    top = box.select(1, 1)
    width = box.select(1, 2) - left
    height = box.select(1, 3) - top
    if not aligned:
        width = torch.clamp(width, min=1.0)
        height = torch.clamp(height, min=1.0)
    step_y = torch.arange(pooled_height * s, dtype=input.dtype)
    step_x = torch.arange(pooled_width * s, dtype=input.dtype)
    y = top.unsqueeze(1) + (height / pooled_height).unsqueeze(1) * ((step_y + 0.5) / s).unsqueeze(0)
    x = left.unsqueeze(1) + (width / pooled_width).unsqueeze(1) * ((step_x + 0.5) / s).unsqueeze(0)
    y0, y1, wy, y_counts = neighbours(y, input.size(2))
    x0, x1, wx, x_counts = neighbours(x, input.size(3))
    image = rois.select(1, 0).to(torch.long).reshape([n, 1, 1])
    # [boxes, samples down, samples across, channels]
    pixels = input.permute([0, 2, 3, 1])
    a = pixels[image, y0.unsqueeze(2), x0.unsqueeze(1)]
    b = pixels[image, y0.unsqueeze(2), x1.unsqueeze(1)]
    c = pixels[image, y1.unsqueeze(2), x0.unsqueeze(1)]
    d = pixels[image, y1.unsqueeze(2), x1.unsqueeze(1)]
    v = wy.reshape([n, pooled_height * s, 1, 1])
    h = wx.reshape([n, 1, pooled_width * s, 1])
    mixed = (a * (1.0 - h) + b * h) * (1.0 - v) + (c * (1.0 - h) + d * h) * v
    counts = torch.logical_and(y_counts.unsqueeze(2), x_counts.unsqueeze(1)).unsqueeze(3)
    sampled = torch.where(counts, mixed, torch.zeros([1], dtype=input.dtype))
    bins = sampled.reshape([n, pooled_height, s, pooled_width, s, input.size(1)])
    return bins.mean([2, 4]).permute([0, 3, 1, 2])
