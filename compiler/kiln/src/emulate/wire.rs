//! The files between kiln and the program that makes the calls: sequences of 64-bit little-endian words, as
//! [`runner.c`](runner.c) describes them.

use super::EmulatedCall;
use crate::error::Result;
use crate::values::unwritable;
use kiln_frontend::tensors_file::InputValue;
use kiln_loader::CallError;
use kiln_rt::abi::tag;
use kiln_support::{DType, Diagnostic, TensorData};
use std::collections::VecDeque;
use std::time::Duration;

/// A tuple with names.
const NAMED: u64 = 100;
/// A value that was not written, for it is nested too deeply.
const CUT: u64 = 101;

/// What a call gave.
type CallResult<T> = std::result::Result<T, CallError>;

/// The file of calls.
pub fn write_calls(calls: &[EmulatedCall]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.word(calls.len() as u64);
    for (method, args) in calls {
        writer.word(*method as u64);
        writer.word(args.len() as u64);
        args.iter().for_each(|arg| writer.value(arg));
    }
    writer.bytes
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn word(&mut self, word: u64) {
        self.bytes.extend(word.to_le_bytes());
    }

    fn text(&mut self, text: &[u8]) {
        self.word(text.len() as u64);
        self.bytes.extend(text);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
    }

    fn tagged(&mut self, tag: u64, word: u64) {
        self.word(tag);
        self.word(word);
    }

    fn value(&mut self, value: &InputValue) {
        match value {
            InputValue::None => self.word(tag::NONE),
            InputValue::Bool(b) => self.tagged(tag::BOOL, u64::from(*b)),
            InputValue::Int(i) => self.tagged(tag::INT, *i as u64),
            InputValue::Float(f) => self.tagged(tag::FLOAT, f.to_bits()),
            InputValue::Str(text) => {
                self.word(tag::STR);
                self.text(text.as_bytes());
            }
            InputValue::Tensor(tensor) => self.tensor(tensor),
            InputValue::List(items) => self.items(tag::LIST, items.len(), items.iter()),
            InputValue::Tuple(items) => self.items(tag::TUPLE, items.len(), items.iter()),
            InputValue::Dict(items) => self.items(tag::DICT, items.len(), items.iter().flat_map(|(key, value)| [key, value])),
            InputValue::NamedTuple { name, fields } => {
                self.word(NAMED);
                self.text(name.as_bytes());
                self.word(fields.len() as u64);
                for (field, item) in fields {
                    self.text(field.as_bytes());
                    self.value(item);
                }
            }
        }
    }

    fn items<'v>(&mut self, tag: u64, len: usize, items: impl Iterator<Item = &'v InputValue>) {
        self.tagged(tag, len as u64);
        items.for_each(|item| self.value(item));
    }

    fn tensor(&mut self, tensor: &TensorData) {
        self.tagged(tag::TENSOR, tensor.dtype.code() as u64);
        self.word(tensor.shape.len() as u64);
        tensor.shape.iter().for_each(|&size| self.word(size as u64));
        self.text(&tensor.bytes);
    }
}

/// The results of calls. What no file can hold is an error; a file that does not read was written by a broken program.
pub fn read_results(bytes: &[u8]) -> Result<VecDeque<CallResult<InputValue>>> {
    let mut reader = Reader { rest: bytes };
    let mut results = VecDeque::new();
    while !reader.rest.is_empty() {
        results.push_back(match reader.failure() {
            Some(error) => Err(error),
            None => Ok(reader.value()?),
        });
    }
    Ok(results)
}

/// The times of calls.
pub fn read_times(bytes: &[u8]) -> Result<CallResult<Vec<Duration>>> {
    let mut reader = Reader { rest: bytes };
    if let Some(error) = reader.failure() {
        return Ok(Err(error));
    }
    let count = reader.word();
    Ok(Ok((0..count).map(|_| Duration::from_nanos(reader.word())).collect()))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: u64) -> &'a [u8] {
        let taken = usize::try_from(bytes).ok().and_then(|at| self.rest.split_at_checked(at));
        let (taken, rest) = taken.unwrap_or_else(|| panic!("the results of an emulated program end too early"));
        self.rest = rest;
        taken
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().expect("8 bytes"))
    }

    fn bytes(&mut self) -> &'a [u8] {
        let len = self.word();
        let bytes = self.take(len);
        self.take(len.wrapping_neg() % 8);
        bytes
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The status of a call, where it is not 0, and its text.
    fn failure(&mut self) -> Option<CallError> {
        match self.word() {
            0 => None,
            status => Some(CallError::Status { status: status as i32, text: self.text() }),
        }
    }

    fn values(&mut self) -> Result<Vec<InputValue>> {
        let count = self.word();
        (0..count).map(|_| self.value()).collect()
    }

    fn value(&mut self) -> Result<InputValue> {
        Ok(match self.word() {
            tag::NONE => InputValue::None,
            tag::BOOL => InputValue::Bool(self.word() != 0),
            tag::INT => InputValue::Int(self.word() as i64),
            tag::FLOAT => InputValue::Float(f64::from_bits(self.word())),
            tag::STR | tag::DEVICE => InputValue::Str(self.text()),
            tag::TENSOR => InputValue::Tensor(self.tensor()?),
            tag::LIST => InputValue::List(self.values()?),
            tag::TUPLE => InputValue::Tuple(self.values()?),
            tag::DICT => {
                let count = self.word();
                InputValue::Dict((0..count).map(|_| Ok((self.value()?, self.value()?))).collect::<Result<_>>()?)
            }
            NAMED => {
                let name = self.text().rsplit('.').next().unwrap_or_default().to_owned();
                let count = self.word();
                let fields = (0..count).map(|_| Ok((self.text(), self.value()?))).collect::<Result<_>>()?;
                InputValue::NamedTuple { name, fields }
            }
            tag::OBJECT => return Err(unwritable("an object of a class as the result").into()),
            CUT => return Err(unwritable("a result that contains itself, or is nested too deeply,").into()),
            other => panic!("a result has the unknown tag {other}"),
        })
    }

    fn tensor(&mut self) -> std::result::Result<TensorData, Diagnostic> {
        let code = self.word() as i64;
        let dtype = DType::from_code(code).unwrap_or_else(|| panic!("a result has dtype {code}"));
        let rank = self.word();
        let shape = (0..rank).map(|_| self.word() as i64).collect();
        let bytes = self.bytes();
        if dtype.is_quantized() {
            return Err(unwritable("a quantized tensor as the result"));
        }
        Ok(TensorData::new(dtype, shape, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use InputValue as V;

    #[test]
    fn values_are_read_as_they_were_written() {
        let tensor = V::Tensor(TensorData::from_f32(&[3, 1], &[1.5, -0.0, f32::INFINITY]));
        let value = V::Tuple(vec![
            V::None,
            V::Bool(true),
            V::Int(-7),
            V::Float(0.5),
            V::Str("h\u{e9}llo, you".into()),
            V::List(vec![tensor.clone(), tensor]),
            V::Dict(vec![(V::Str("b".into()), V::Int(1)), (V::Str(String::new()), V::None)]),
        ]);
        let calls = write_calls(&[(2, vec![&value])]);
        // A call of no argument but the value reads as a result: behind the count, method and argument count.
        let mut results = 0u64.to_le_bytes().to_vec();
        results.extend(&calls[24..]);
        let read = read_results(&results).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].as_ref().unwrap(), &value);
    }

    #[test]
    fn failures_have_a_status_and_a_text() {
        let mut writer = Writer::default();
        writer.word(1);
        writer.text(b"ValueError: no");
        let Err(CallError::Status { status, text }) = read_results(&writer.bytes).unwrap().remove(0).unwrap() else {
            panic!("a failure is read as a failure");
        };
        assert_eq!((status, text.as_str()), (1, "ValueError: no"));
    }

    #[test]
    fn named_tuples_lose_the_module_of_their_type() {
        let point = |name: &str| V::NamedTuple { name: name.into(), fields: vec![("x".into(), V::Int(3))] };
        let mut writer = Writer::default();
        writer.word(0);
        writer.value(&point("__torch__.net.Point"));
        assert_eq!(read_results(&writer.bytes).unwrap()[0].as_ref().unwrap(), &point("Point"));
    }

    #[test]
    fn times_are_nanoseconds() {
        let mut writer = Writer::default();
        [0, 2, 5, 7].into_iter().for_each(|word| writer.word(word));
        let times = read_times(&writer.bytes).unwrap().unwrap();
        assert_eq!(times, [Duration::from_nanos(5), Duration::from_nanos(7)]);
    }
}
