//! Source bytes to plain data: archives to an object graph, Python text to an abstract syntax tree.
//!
//! Nothing here is executed and no operator is known here.

pub mod archive;
pub mod ast;
pub mod model;
pub mod python;
pub mod tensors_file;
