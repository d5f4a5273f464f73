//! The operator table: what PyTorch's operators are called, what they take, and what they mean.
//!
//! * [`table`]: every schema PyTorch has, so that every call can be typed.
//! * [`entries`]: the core operators, one [`Entry`] each, by family.
//! * [`prelude`]: all other operators as decompositions in scripted Python.

mod calc;
pub mod element;
pub mod entries;
pub mod entry;
pub mod eval;
pub mod infer;
pub mod prelude;
pub mod probe;
pub mod promote;
pub mod quantized;
pub mod schema;
pub mod table;

pub use element::{Element, ElementSource};
pub use entries::{INT4_GROUP, entry};
pub use entry::{Body, Entry, ExternCall, ExternOperand};
pub use infer::{DimMath, Fact, Infer, OpError};
pub use schema::{Alias, Arg, Schema, SchemaType};
pub use table::{Table, table};
