//! The layers that can be quantized: products of an activation with constant weights, and tables of rows.

use kiln_graph::{Graph, Literal, Node, Op, Value};
use kiln_ops::table;
use kiln_support::{DType, TensorData};

/// A layer.
#[derive(Clone, PartialEq, Debug)]
pub struct Site {
    /// Its node.
    pub node: Node,
    /// What is computed there.
    pub kind: Kind,
    /// The activation.
    pub input: Value,
    /// The result.
    pub output: Value,
    /// Sizes of the weights, output channels first.
    pub weight: Vec<i64>,
    /// A hash of the weights.
    pub hash: u64,
    /// Whether the result is in memory although no layer reads it: it is added to what a layer before it gives.
    pub is_summed: bool,
    /// Whether it is in a loop or branch: what it sees cannot be observed from outside.
    pub is_inside: bool,
}

/// What a layer computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A convolution of images.
    Convolution,
    /// A convolution of images, channel by channel.
    Depthwise,
    /// A product with a matrix.
    Linear,
    /// Rows of a table.
    Embedding,
}

impl Kind {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Convolution => "convolution",
            Kind::Depthwise => "depthwise",
            Kind::Linear => "linear",
            Kind::Embedding => "embedding",
        }
    }

    /// Where among the operands what is read is, and where the weights are.
    pub fn operands(self) -> [usize; 2] {
        if self == Kind::Embedding { [1, 0] } else { [0, 1] }
    }
}

/// Products of bytes of which the sum surely fits 32 bits: below 2^31 / (255 * 127).
const MOST_PRODUCTS: i64 = 1 << 16;

/// The layers of a method, in the order of execution.
pub fn sites(graph: &Graph) -> Vec<Site> {
    let mut found: Vec<Site> = Vec::new();
    graph.visit(graph.entry, &mut |block, node| {
        let inside = block != graph.entry;
        found.extend(site(graph, node).map(|site| Site { is_inside: inside, ..site }));
    });
    let place = |found: &[Site], value: Value| found.iter().position(|site| site.output == value);
    for &node in &graph.blocks[graph.entry].nodes {
        let data = &graph.nodes[node];
        let is_sum = matches!(data.op, Op::Table(op) if table().key(op) == "aten::add.Tensor");
        if is_sum && let (Some(a), Some(b)) = (place(&found, data.args[0]), place(&found, data.args[1])) {
            found[a.max(b)].is_summed = true;
        }
    }
    found
}

fn site(graph: &Graph, node: Node) -> Option<Site> {
    let data = &graph.nodes[node];
    let Op::Table(op) = data.op else { return None };
    let is_float = |at: usize| graph.ty(data.args[at]).as_tensor().is_some_and(|ty| ty.dtype == DType::F32);
    let (kind, weight) = match table().key(op) {
        "aten::embedding" => (Kind::Embedding, constant(graph, data.args[0])?),
        _ if data.args.is_empty() || !is_float(0) => return None,
        "aten::convolution" => {
            let weights = constant(graph, *data.args.get(1)?)?;
            (convolution_kind(graph, &data.args, &weights)?, weights)
        }
        "aten::mm" => (Kind::Linear, matrix(graph, *data.args.get(1)?)?),
        _ => return None,
    };
    // Kernels take four bytes at a time, and longer sums of products of bytes might leave 32 bits.
    let products: i64 = weight.shape[1..].iter().product();
    let fits = (kind != Kind::Linear || weight.shape[1] % 4 == 0) && products < MOST_PRODUCTS;
    let hash = hash(&weight);
    fits.then(|| Site {
        node,
        kind,
        input: data.args[kind.operands()[0]],
        output: data.results[0],
        weight: weight.shape.clone(),
        hash,
        is_summed: false,
        is_inside: false,
    })
}

fn convolution_kind(graph: &Graph, args: &[Value], weights: &TensorData) -> Option<Kind> {
    let (Literal::Bool(false), Literal::Int(groups)) = (graph.as_const(args[6])?, graph.as_const(args[8])?) else { return None };
    let is_constant_bias = matches!(graph.as_const(args[2])?, Literal::None | Literal::Tensor(_));
    if weights.shape.len() != 4 || !is_constant_bias {
        return None;
    }
    match *groups {
        1 => Some(Kind::Convolution),
        n if n == weights.shape[0] && weights.shape[1] == 1 => Some(Kind::Depthwise),
        _ => None,
    }
}

/// The weights of a layer in binary32, output channels first.
pub fn site_weights(graph: &Graph, site: &Site) -> TensorData {
    let weights = graph.nodes[site.node].args[site.kind.operands()[1]];
    let found = if site.kind == Kind::Linear { matrix(graph, weights) } else { constant(graph, weights) };
    found.expect("the weights of a layer are constant")
}

fn constant(graph: &Graph, value: Value) -> Option<TensorData> {
    match graph.as_const(value)? {
        Literal::Tensor(data) if data.dtype == DType::F32 => Some(data.clone()),
        _ => None,
    }
}

/// The constant matrix `[in, out]` of a product as `[out, in]`: often it is the transposition of one, too large to be folded.
fn matrix(graph: &Graph, value: Value) -> Option<TensorData> {
    if let Some(folded) = constant(graph, value) {
        return Some(transposed(&folded));
    }
    let node = &graph.nodes[graph.def_node(value)?];
    let Op::Table(op) = node.op else { return None };
    let source = constant(graph, *node.args.first()?).filter(|source| source.shape.len() == 2)?;
    let ints =
        |at: usize| node.args[at..].iter().map(|&v| graph.as_const(v).and_then(Literal::as_int)).collect::<Option<Vec<_>>>();
    let swaps = match table().key(op) {
        "aten::t" => true,
        "aten::transpose.int" => ints(1)?.iter().map(|axis| axis.rem_euclid(2)).sum::<i64>() == 1,
        _ => false,
    };
    swaps.then_some(source)
}

/// A matrix `[in, out]` as `[out, in]`.
pub fn transposed(matrix: &TensorData) -> TensorData {
    let [rows, columns] = [matrix.shape[0] as usize, matrix.shape[1] as usize];
    let values = matrix.to_f32();
    let turned: Vec<f32> =
        (0..columns).flat_map(|c| (0..rows).map(move |r| (r, c))).map(|(r, c)| values[r * columns + c]).collect();
    TensorData::from_f32(&[columns as i64, rows as i64], &turned)
}

/// FNV-1a of the elements: the same on every machine.
fn hash(weights: &TensorData) -> u64 {
    weights.bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}
