//! Numbers and strings as Python writes them.

use crate::value::Value;

/// A float as `repr` gives it.
pub fn float(x: f64) -> String {
    if x.is_nan() {
        return "nan".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.into();
    }
    let text = format!("{x:?}");
    match text.split_once('e') {
        None if x != 0.0 && (x.abs() >= 1e16 || x.abs() < 1e-4) => float_from_exponent(&format!("{x:e}")),
        None => text,
        Some(_) if x.abs() < 1e16 && x.abs() >= 1e-4 => format!("{x}"),
        Some(_) => float_from_exponent(&text),
    }
}

/// `1.5e7` as `1.5e+07`.
fn float_from_exponent(text: &str) -> String {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let digits = digits.strip_suffix(".0").unwrap_or(digits);
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// A value by a format specification: `[[fill]align][0][width][.precision][type]` of ints, floats and strings.
pub fn formatted(value: &Value, text: &str, spec: &str) -> Option<String> {
    let chars: Vec<char> = spec.chars().collect();
    let is_align = |c: Option<&char>| matches!(c, Some('<' | '>' | '^'));
    let (mut fill, mut align, mut at) = (' ', None, 0);
    if is_align(chars.get(1)) {
        (fill, align, at) = (chars[0], Some(chars[1]), 2);
    } else if is_align(chars.first()) {
        (align, at) = (Some(chars[0]), 1);
    }
    let is_number = matches!(value, Value::Int(_) | Value::Float(_));
    if chars.get(at) == Some(&'0') && align.is_none() {
        (fill, align, at) = ('0', Some('='), at + 1);
    }
    let number = |at: &mut usize| {
        let start = *at;
        while chars.get(*at).is_some_and(char::is_ascii_digit) {
            *at += 1;
        }
        chars[start..*at].iter().collect::<String>().parse::<usize>().ok()
    };
    let width = number(&mut at).unwrap_or(0);
    let precision = if chars.get(at) == Some(&'.') {
        at += 1;
        Some(number(&mut at)?)
    } else {
        None
    };
    let kind: String = chars[at..].iter().collect();
    let body = match (value, kind.as_str(), precision) {
        (Value::Int(i), "d" | "", None) => i.to_string(),
        (Value::Int(_) | Value::Float(_), "f", precision) => format!("{:.*}", precision.unwrap_or(6), value.as_float()?),
        (Value::Str(_), "s" | "", None) => text.to_owned(),
        _ => return None,
    };
    if width > 1000 {
        return None;
    }
    let missing = width.saturating_sub(body.chars().count());
    let pad = |count: usize| fill.to_string().repeat(count);
    Some(match align.unwrap_or(if is_number { '>' } else { '<' }) {
        '<' => body + &pad(missing),
        '^' => pad(missing / 2) + &body + &pad(missing - missing / 2),
        '=' => match body.strip_prefix('-') {
            Some(digits) => format!("-{}{digits}", pad(missing)),
            None => pad(missing) + &body,
        },
        _ => pad(missing) + &body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_does() {
        let cases =
            [(1.0, "1.0"), (0.1, "0.1"), (1e16, "1e+16"), (1.5e-7, "1.5e-07"), (123456.789, "123456.789"), (1e-4, "0.0001")];
        for (x, text) in cases {
            assert_eq!(float(x), text);
        }
    }

    #[test]
    fn specifications() {
        let by = |value: Value, spec: &str| formatted(&value, "ab", spec);
        assert_eq!(by(Value::Int(7), "03d").as_deref(), Some("007"));
        assert_eq!(by(Value::Int(-7), "04").as_deref(), Some("-007"));
        assert_eq!(by(Value::Float(2.345), ".2f").as_deref(), Some("2.35"));
        assert_eq!(by(Value::str("ab"), ">4").as_deref(), Some("  ab"));
        assert_eq!(by(Value::str("ab"), "*^6").as_deref(), Some("**ab**"));
        assert_eq!(by(Value::Float(1.0), "e"), None);
    }
}
