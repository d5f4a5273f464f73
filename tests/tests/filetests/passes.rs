//! Tests of single passes: a graph in, the graph after the pass out.

use crate::case::Case;
use kiln_graph::read::read_graph;
use kiln_graph::verify::verify;
use kiln_graph::write::write_graph;
use kiln_graph::{Graph, Program};
use kiln_ops::table;
use kiln_passes::{assign_layout, fold_scales, rewrite, sink_permutes};

/// Runs a pass. Its input and output are verified, and the output's text is read back.
pub fn run(case: &Case, pass: &str) -> String {
    let place = case.path.display();
    let pass: fn(&Graph) -> Graph = match pass {
        "remove_dead" => rewrite::remove_dead,
        "fold_scales" => fold_scales::fold_scales,
        "assign_layout" => assign_layout::assign_layout,
        "sink_permutes" => sink_permutes::sink_permutes,
        _ => panic!("{place}: there is no pass `{pass}`"),
    };
    let input = read(&case.source).unwrap_or_else(|error| panic!("{place}: {error}"));
    verify(&input).unwrap_or_else(|errors| panic!("{place}: the input is wrong:\n{errors}"));
    let output = pass(&input);
    let text = write(&output);
    verify(&output).unwrap_or_else(|errors| panic!("{place}: the output is wrong:\n{errors}\n{text}"));
    let again = read(&text).unwrap_or_else(|error| panic!("{place}: the output cannot be read: {error}\n{text}"));
    assert_eq!(write(&again), text, "{place}: the output reads as another graph");
    text
}

fn read(text: &str) -> Result<Graph, kiln_graph::read::ReadError> {
    read_graph(text, &Program::default(), &|key| table().find(key))
}

fn write(graph: &Graph) -> String {
    write_graph(graph, &Program::default(), table())
}
