//! f-strings.

use crate::body::Body;
use crate::sugar::Typed;
use kiln_frontend::ast::FStringPart;
use kiln_graph::Value;
use kiln_support::Span;

impl Body<'_, '_> {
    /// `f"a {x} b"` is `"a {} b".format(x)`.
    pub fn f_string(&mut self, parts: &[FStringPart], at: Span) -> Typed<Value> {
        let (mut template, mut values) = (String::new(), Vec::new());
        for part in parts {
            match part {
                // Templates know no escape for a place holder: such text is a value of its own.
                FStringPart::Text(text) if text.contains("{}") => {
                    template.push_str("{}");
                    values.push(self.str(text, at));
                }
                FStringPart::Text(text) => template.push_str(text),
                FStringPart::Formatted(value, _) => {
                    let message = "a format specification in an f-string is not supported";
                    let error = crate::unsupported("unsupported-syntax", message, value.span);
                    return Err(Box::new(error.help("TorchScript knows only `{value}`")));
                }
                FStringPart::Value(expr) => {
                    template.push_str("{}");
                    values.push(self.value(expr)?);
                }
            }
        }
        let template = self.str(&template, at);
        let operands: Vec<Value> = std::iter::once(template).chain(values).collect();
        self.table_op("aten::format", &operands, at)
    }
}
