//! Methods of strings, lists, tuples and dicts.

use crate::arguments::Keywords;
use crate::evaluator::{Eval, Evaluator, error, unsupported};
use crate::value::Value;
use kiln_support::Span;

/// `dict[key] = value`.
pub fn dict_set(items: &mut Vec<(Value, Value)>, key: Value, value: Value) {
    match items.iter_mut().find(|(own, _)| own.equals(&key)) {
        Some((_, old)) => *old = value,
        None => items.push((key, value)),
    }
}

impl Evaluator<'_> {
    /// Calls a method of a string, list, tuple or dict.
    pub fn container_method(
        &mut self,
        receiver: &Value,
        name: &str,
        args: Vec<Value>,
        keywords: Keywords,
        at: Span,
    ) -> Eval<Value> {
        match receiver {
            Value::Str(text) => self.str_method(text, name, &args, &keywords, at),
            Value::List(_) => self.list_method(receiver, name, args, &keywords, at),
            Value::Dict(_) => self.dict_method(receiver, name, args, keywords, at),
            Value::Table(object, table) => {
                let entries = object.table(*table);
                match (name, args.as_slice()) {
                    ("clear", []) => entries.iter().for_each(|(name, _)| object.remove(name)),
                    ("pop", [Value::Str(key)]) => {
                        let found = entries.into_iter().find(|(name, _)| **name == **key).map(|(_, value)| value);
                        object.remove(key);
                        return found.ok_or_else(|| error("raised", format!("KeyError: '{key}'"), at));
                    }
                    _ => {
                        let dict = Value::dict(entries.into_iter().map(|(name, value)| (Value::str(name), value)).collect());
                        return self.dict_method(&dict, name, args, keywords, at);
                    }
                }
                Ok(Value::None)
            }
            Value::Tuple(items) => match (name, args.as_slice()) {
                ("index", [item]) => self.index_of(items, item, at),
                ("count", [item]) => Ok(Value::Int(items.iter().filter(|own| own.equals(item)).count() as i64)),
                // `tensor.shape.numel()`
                ("numel", []) => Ok(Value::Int(items.iter().filter_map(Value::as_int).product())),
                _ => Err(no_method(receiver, name, at)),
            },
            _ => Err(no_method(receiver, name, at)),
        }
    }

    fn str_method(&mut self, text: &str, name: &str, args: &[Value], keywords: &Keywords, at: Span) -> Eval<Value> {
        if name == "format" {
            return self.format(text, args, keywords, at);
        }
        if name == "join" {
            let [items] = args else { return Err(error("bad-arguments", "`join` takes a list", at)) };
            let parts: Vec<String> = self.items(items, at)?.iter().map(|item| self.text(item)).collect();
            return Ok(Value::str(parts.join(text)));
        }
        let texts: Vec<&str> =
            args.iter().filter_map(|arg| if let Value::Str(text) = arg { Some(&**text) } else { None }).collect();
        let list = |parts: Vec<&str>| Value::list(parts.into_iter().map(Value::str).collect());
        Ok(match (name, texts.as_slice()) {
            ("lower", []) => Value::str(text.to_lowercase()),
            ("upper", []) => Value::str(text.to_uppercase()),
            ("strip", []) => Value::str(text.trim()),
            ("split", []) if args.is_empty() => list(text.split_whitespace().collect()),
            ("split", [by]) if args.len() == 1 => list(text.split(by).collect()),
            ("replace", [from, to]) => Value::str(text.replace(from, to)),
            ("startswith", [part]) => Value::Bool(text.starts_with(part)),
            ("endswith", [part]) => Value::Bool(text.ends_with(part)),
            ("count", [part]) => Value::Int(text.matches(part).count() as i64),
            ("isdigit", []) => Value::Bool(!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())),
            ("capitalize", []) => {
                let mut chars = text.chars();
                let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
                Value::str(first + &chars.as_str().to_lowercase())
            }
            _ => return Err(no_method(&Value::str(text), name, at)),
        })
    }

    fn format(&mut self, text: &str, args: &[Value], keywords: &Keywords, at: Span) -> Eval<Value> {
        let (mut out, mut rest, mut next) = (String::new(), text, 0);
        while let Some(open) = rest.find(['{', '}']) {
            out.push_str(&rest[..open]);
            if rest[open..].starts_with("{{") || rest[open..].starts_with("}}") {
                out.push_str(&rest[open..=open]);
                rest = &rest[open + 2..];
                continue;
            }
            let Some(close) = rest[open..].find('}') else { break };
            let field = &rest[open + 1..open + close];
            let value = if field.is_empty() {
                next += 1;
                args.get(next - 1)
            } else if let Ok(i) = field.parse::<usize>() {
                args.get(i)
            } else {
                keywords.iter().find(|(name, _)| name == field).map(|(_, value)| value)
            };
            let value = value.ok_or_else(|| unsupported("this format is not supported in a constructor", at))?;
            out.push_str(&self.text(value));
            rest = &rest[open + close + 1..];
        }
        out.push_str(rest);
        Ok(Value::str(out))
    }

    fn index_of(&self, items: &[Value], item: &Value, at: Span) -> Eval<Value> {
        let found = items.iter().position(|own| own.equals(item));
        found.map(|i| Value::Int(i as i64)).ok_or_else(|| error("raised", "ValueError: it is not in the list", at))
    }

    fn list_method(&mut self, receiver: &Value, name: &str, args: Vec<Value>, keywords: &Keywords, at: Span) -> Eval<Value> {
        let Value::List(list) = receiver else { return Err(no_method(receiver, name, at)) };
        match (name, args.as_slice()) {
            ("append", [item]) => list.borrow_mut().push(item.clone()),
            ("extend", [more]) => {
                let more = self.items(more, at)?;
                list.borrow_mut().extend(more);
            }
            ("insert", [index, item]) => {
                let len = list.borrow().len() as i64;
                let index = index.as_int().unwrap_or(0);
                let place = (if index < 0 { index + len } else { index }).clamp(0, len) as usize;
                list.borrow_mut().insert(place, item.clone());
            }
            ("pop", []) => {
                let popped = list.borrow_mut().pop();
                return popped.ok_or_else(|| error("raised", "IndexError: pop from empty list", at));
            }
            ("pop", [index]) => {
                let len = list.borrow().len();
                let place = index.as_int().and_then(|i| crate::access::position(i, len));
                let place = place.ok_or_else(|| error("raised", "IndexError: pop index out of range", at))?;
                return Ok(list.borrow_mut().remove(place));
            }
            ("reverse", []) => list.borrow_mut().reverse(),
            ("clear", []) => list.borrow_mut().clear(),
            ("copy", []) => return Ok(Value::list(list.borrow().clone())),
            ("index", [item]) => return self.index_of(&list.borrow(), item, at),
            ("count", [item]) => return Ok(Value::Int(list.borrow().iter().filter(|own| own.equals(item)).count() as i64)),
            ("sort", []) => {
                let sorted = self.sorted(receiver, keywords, at)?;
                *list.borrow_mut() = sorted;
            }
            _ => return Err(no_method(receiver, name, at)),
        }
        Ok(Value::None)
    }

    /// The items in order, by `key` and `reverse`.
    pub fn sorted(&mut self, value: &Value, keywords: &Keywords, at: Span) -> Eval<Vec<Value>> {
        let find = |name: &str| keywords.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone());
        let mut keyed = Vec::new();
        for item in self.items(value, at)? {
            let key = match find("key") {
                Some(Value::None) | None => item.clone(),
                Some(key) => self.call(key, vec![item.clone()], Vec::new(), at)?,
            };
            keyed.push((key, item));
        }
        let is_reversed = find("reverse").is_some_and(|reverse| reverse.truth() == Some(true));
        // Insertion, which asks for no total order.
        let mut out: Vec<(Value, Value)> = Vec::new();
        for (key, item) in keyed {
            let mut place = out.len();
            while place > 0 {
                self.step(at)?;
                let before = out[place - 1].0.clone();
                // Equal elements keep their order, reversed or not.
                let (first, second) = if is_reversed { (&before, &key) } else { (&key, &before) };
                if !self.compare(kiln_frontend::ast::CompareOp::Lt, first, second, at)? {
                    break;
                }
                place -= 1;
            }
            out.insert(place, (key, item));
        }
        Ok(out.into_iter().map(|(_, item)| item).collect())
    }

    fn dict_method(&mut self, receiver: &Value, name: &str, args: Vec<Value>, keywords: Keywords, at: Span) -> Eval<Value> {
        let Value::Dict(dict) = receiver else { return Err(no_method(receiver, name, at)) };
        let find = |key: &Value| dict.borrow().iter().position(|(own, _)| own.equals(key));
        Ok(match (name, args.as_slice()) {
            ("keys", []) => Value::list(dict.borrow().iter().map(|(key, _)| key.clone()).collect()),
            ("values", []) => Value::list(dict.borrow().iter().map(|(_, value)| value.clone()).collect()),
            ("items", []) => {
                Value::list(dict.borrow().iter().map(|(key, value)| Value::tuple(vec![key.clone(), value.clone()])).collect())
            }
            ("copy", []) => Value::dict(dict.borrow().clone()),
            ("get", [key, default @ ..]) => match find(key) {
                Some(i) => dict.borrow()[i].1.clone(),
                None => default.first().cloned().unwrap_or(Value::None),
            },
            ("setdefault", [key, default]) => match find(key) {
                Some(i) => dict.borrow()[i].1.clone(),
                None => {
                    dict.borrow_mut().push((key.clone(), default.clone()));
                    default.clone()
                }
            },
            ("pop", [key, default @ ..]) => match find(key) {
                Some(i) => dict.borrow_mut().remove(i).1,
                None => match default.first() {
                    Some(default) => default.clone(),
                    None => return Err(error("raised", format!("KeyError: {}", self.repr(key)), at)),
                },
            },
            ("update", more) => {
                for more in more {
                    let Value::Dict(more) = more else { return Err(error("bad-arguments", "`update` takes a dict", at)) };
                    let more = more.borrow().clone();
                    more.into_iter().for_each(|(key, value)| dict_set(&mut dict.borrow_mut(), key, value));
                }
                keywords.into_iter().for_each(|(key, value)| dict_set(&mut dict.borrow_mut(), Value::str(key), value));
                Value::None
            }
            _ => return Err(no_method(receiver, name, at)),
        })
    }
}

fn no_method(receiver: &Value, name: &str, at: Span) -> Box<kiln_support::Diagnostic> {
    unsupported(format!("a {} has no method `{name}` that kiln knows in a constructor", receiver.type_name()), at)
}
