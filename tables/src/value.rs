//! Text of a value to the number that a table holds.
//!
//! AS numbers and countries are numbers by themselves; of an attribute the distinct texts are numbered in the order
//! in which they are met, and anew when its table is made.
//!
//! Law: what decides rows is taken exactly or not at all; an attribute's value is never mended.

use std::collections::HashMap;
use std::fmt;

use crate::kind::Kind;
use crate::parse::{number, shown};

/// Longest text of a value or a name.
pub(crate) const TEXT_BYTES: usize = 255;

/// What an attribute's values are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValueType {
    /// Text.
    #[default]
    String,
    /// Whole numbers of 64 bits with a sign, kept as decimal text.
    Integer,
}

impl ValueType {
    /// All there are.
    pub const ALL: [ValueType; 2] = [ValueType::String, ValueType::Integer];
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValueType::String => "string",
            ValueType::Integer => "integer",
        })
    }
}

/// A text that gives no number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoValue {
    /// It is no value of this kind.
    Bad(String),
    /// It is right, and says more than a table can hold.
    Odd(String),
}

/// Reads the values of all sources of one kind.
#[derive(Debug)]
pub(crate) enum Values {
    Asn,
    Country,
    Texts(Texts),
}

/// The distinct texts of an attribute, numbered from 1 in the order in which they were met.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    pub(crate) value_type: ValueType,
    numbers: HashMap<String, u32>,
}

/// A country's number as its two letters.
pub(crate) fn country_text(number: u32) -> String {
    let [_, _, a, b] = number.to_be_bytes();
    [a, b].map(char::from).iter().collect()
}

impl Values {
    /// For the values of a kind.
    pub(crate) fn of(kind: &Kind, value_type: ValueType) -> Values {
        match kind {
            Kind::Asn => Values::Asn,
            Kind::Country => Values::Country,
            _ => Values::Texts(Texts {
                value_type,
                numbers: HashMap::new(),
            }),
        }
    }

    /// The text of a number.
    pub(crate) fn text(&self, number: u32) -> String {
        match self {
            Values::Asn => number.to_string(),
            Values::Country => country_text(number),
            Values::Texts(texts) => {
                let mut found = texts.numbers.iter().filter(|(_, n)| **n == number);
                found
                    .next()
                    .map_or_else(String::new, |(text, _)| text.clone())
            }
        }
    }

    /// The number of a text; 0: no value.
    pub(crate) fn number(&mut self, text: &[u8]) -> Result<u32, NoValue> {
        match self {
            Values::Asn => asn(text),
            Values::Country => country(text),
            Values::Texts(texts) => texts.number(text).map_err(NoValue::Bad),
        }
    }
}

/// `13335` or `AS13335`; `-` and 0 are no value.
pub(crate) fn asn(text: &[u8]) -> Result<u32, NoValue> {
    let found = match text {
        [] | b"-" => Some(0),
        [b'A' | b'a', b'S' | b's', digits @ ..] => number(digits),
        [b'{', ..] => return Err(NoValue::Odd(format!("{} is an AS set", shown(text)))),
        digits => number(digits),
    };
    found.ok_or_else(|| NoValue::Bad(format!("{} is not an AS number", shown(text))))
}

/// Two letters; what iptoasn.com and others write where there is none is no value.
fn country(text: &[u8]) -> Result<u32, NoValue> {
    match text {
        [] | b"-" | b"None" | b"Unknown" => Ok(0),
        [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
            Ok(u32::from(a.to_ascii_uppercase()) << 8 | u32::from(b.to_ascii_uppercase()))
        }
        _ => Err(NoValue::Bad(format!("{} is not a country", shown(text)))),
    }
}

impl Texts {
    fn number(&mut self, text: &[u8]) -> Result<u32, String> {
        if text.is_empty() {
            return Ok(0);
        }
        let text = std::str::from_utf8(text)
            .map_err(|_| format!("{} is not UTF-8; convert the file", shown(text)))?;
        match self.value_type {
            ValueType::String => {
                is_fit(text)?;
                Ok(self.numbered(text))
            }
            ValueType::Integer => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let is_decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                let parsed = Some(text).filter(|_| is_decimal);
                let parsed = parsed.and_then(|text| text.parse::<i64>().ok());
                let wrong = || format!("{} is not an integer of 64 bits", shown(text.as_bytes()));
                // In its shortest form, so that 7 and 007 are one value.
                Ok(self.numbered(&parsed.ok_or_else(wrong)?.to_string()))
            }
        }
    }

    fn numbered(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let next = u32::try_from(self.numbers.len() + 1).unwrap_or(u32::MAX);
        self.numbers.insert(text.to_owned(), next);
        next
    }

    /// The texts by their number; `[0]` is that of no value.
    pub(crate) fn by_number(&self) -> Vec<&str> {
        let mut texts = vec![""; self.numbers.len() + 1];
        for (text, number) in &self.numbers {
            if let Some(place) = usize::try_from(*number).ok().and_then(|n| texts.get_mut(n)) {
                *place = text;
            }
        }
        texts
    }
}

/// Whether every store can hold it.
pub(crate) fn is_fit(text: &str) -> Result<(), String> {
    if text.len() > TEXT_BYTES {
        return Err(format!(
            "{} is longer than {TEXT_BYTES} bytes",
            shown(text.as_bytes())
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{} has control characters", shown(text.as_bytes())));
    }
    Ok(())
}
