//! Lines of a text, and the fields of a line.
//!
//! Fields are split line by line: a name with a stray quote must not swallow the lines after it, as a full CSV reader
//! would let it. Law: a line never harms another.

/// Lines that say something, with their numbers from 1 on: no empty ones, no comments (`#`, `;`).
#[derive(Clone, Debug)]
pub(crate) struct Lines<'a> {
    rest: Option<&'a [u8]>,
    number: u64,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Lines<'a> {
        Lines {
            rest: Some(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)),
            number: 0,
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<(u64, &'a [u8])> {
        while let Some(text) = self.rest {
            let end = text.iter().position(|b| *b == b'\n');
            let (line, rest) = match end {
                Some(end) => (&text[..end], Some(&text[end + 1..])),
                None => (text, None),
            };
            self.rest = rest;
            self.number += 1;
            // Spaces only: a tab at an end stands beside an empty field.
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match line.trim_ascii() {
                [] | [b'#' | b';', ..] => {}
                _ => return Some((self.number, line)),
            }
        }
        None
    }
}

/// The character between the fields of a row whose first field is an address or a name: the first that can be.
pub(crate) fn separator(line: &[u8]) -> u8 {
    let found = line.iter().find(|b| b",;\t".contains(b));
    found.copied().unwrap_or(b',')
}

/// Fields of a line; what a quoted one has between its quotes still has its doubled quotes.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(line: &'a [u8], separator: u8) -> Fields<'a> {
        Fields {
            rest: Some(line),
            separator,
        }
    }

    /// The end of a quoted field that begins here: where its closing quote stands, and where the next field begins.
    fn quoted(&self, line: &[u8]) -> Option<(usize, usize)> {
        let mut at = 1;
        loop {
            at += line.get(at..)?.iter().position(|b| *b == b'"')?;
            if line.get(at + 1) == Some(&b'"') {
                at += 2;
                continue;
            }
            let after = &line[at + 1..];
            let blank = after.iter().take_while(|b| **b == b' ').count();
            return match after.get(blank) {
                None => Some((at, line.len())),
                Some(b) if *b == self.separator => Some((at, at + 1 + blank)),
                // A stray quote: it closes nothing.
                Some(_) => None,
            };
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.rest?;
        let blank = line.iter().take_while(|b| **b == b' ').count();
        let line = &line[blank..];
        if line.first() == Some(&b'"')
            && let Some((close, next)) = self.quoted(line)
        {
            self.rest = line.get(next + 1..);
            return Some(&line[1..close]);
        }
        let end = line.iter().position(|b| *b == self.separator);
        self.rest = end.map(|end| &line[end + 1..]);
        Some(line[..end.unwrap_or(line.len())].trim_ascii())
    }
}

/// A field's text, its doubled quotes made single; `buffer` holds it if it had some.
pub(crate) fn undoubled<'a>(field: &'a [u8], buffer: &'a mut Vec<u8>) -> &'a [u8] {
    if !field.windows(2).any(|pair| pair == b"\"\"") {
        return field;
    }
    buffer.clear();
    let mut rest = field;
    while let [first, after @ ..] = rest {
        buffer.push(*first);
        rest = match rest {
            [b'"', b'"', after @ ..] => after,
            _ => after,
        };
    }
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> Vec<&str> {
        let fields = Fields::new(line.as_bytes(), b',');
        fields
            .map(|f| std::str::from_utf8(f).expect("text"))
            .collect()
    }

    #[test]
    fn quotes_hold_separators_and_stray_ones_do_no_harm() {
        for (line, expected) in [
            ("1,\"a, b\",c", vec!["1", "a, b", "c"]),
            ("\"1\" , \"x\"", vec!["1", "x"]),
            ("1,a \"b,c\" d", vec!["1", "a \"b", "c\" d"]),
            ("1,\"open,2", vec!["1", "\"open", "2"]),
            ("1,\"a\"b,2", vec!["1", "\"a\"b", "2"]),
            ("\"a \"\"b\"\", c\",2", vec!["a \"\"b\"\", c", "2"]),
            ("1,,", vec!["1", "", ""]),
            ("\"\",2", vec!["", "2"]),
            ("", vec![""]),
        ] {
            assert_eq!(fields(line), expected, "{line}");
        }
        let mut buffer = Vec::new();
        assert_eq!(undoubled(b"a \"\"b\"\"", &mut buffer), b"a \"b\"");
        assert_eq!(undoubled(b"a \"b", &mut buffer), b"a \"b");
    }

    #[test]
    fn lines_that_say_nothing_are_passed_over_and_counted() {
        let text = b"\xef\xbb\xbf; c\n\n# c\r\n1,2\r\n  \n3";
        let lines: Vec<_> = Lines::new(text).collect();
        assert_eq!(lines, [(4, &b"1,2"[..]), (6, b"3")]);
    }
}
