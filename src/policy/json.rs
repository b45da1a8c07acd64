//! JSON with the place of every value, so that what is wrong with a policy can be pointed at. Strict (RFC 8259), bounded in
//! depth, and no object has a member twice.

use super::fault::{Found, PolicyFaultReason as Reason};

/// Lists and objects inside each other, at most. A policy needs six levels.
const DEPTH_MAX: usize = 16;

/// A value and where it begins, in bytes.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) offset: usize,
    pub(super) value: Value<'a>,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// As it is written.
    Number(&'a str),
    Text(String),
    List(Vec<Node<'a>>),
    Object(Vec<Member<'a>>),
}

#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) name: String,
    /// Where the name begins.
    pub(super) offset: usize,
    pub(super) value: Node<'a>,
}

/// Reads a whole text.
pub(super) fn read(text: &str) -> Result<Node<'_>, Found> {
    let mut reader = Reader { text, at: 0 };
    let node = reader.value(0)?;
    reader.space();
    if reader.at == text.len() { Ok(node) } else { Err(reader.refuse()) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn refuse(&self) -> Found {
        Found::new(Reason::NotJson, self.at)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes a byte if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8) -> Result<(), Found> {
        if self.take(byte) { Ok(()) } else { Err(self.refuse()) }
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, Found> {
        self.space();
        let offset = self.at;
        if depth >= DEPTH_MAX && matches!(self.peek(), Some(b'{' | b'[')) {
            return Err(Found::new(Reason::TooDeep, offset));
        }
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            _ => self.word()?,
        };
        Ok(Node { offset, value })
    }

    fn word(&mut self) -> Result<Value<'a>, Found> {
        for (word, value) in [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))] {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.refuse())
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, Found> {
        self.expect(b'{')?;
        let mut members: Vec<Member<'a>> = Vec::new();
        let mut names = std::collections::HashSet::new();
        self.space();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let offset = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.refuse());
            }
            let name = self.string()?;
            if !names.insert(name.clone()) {
                return Err(Found::new(Reason::DuplicateMember, offset).inside(&name));
            }
            self.space();
            self.expect(b':')?;
            let value = self.value(depth + 1).map_err(|found| found.inside(&name))?;
            members.push(Member { name, offset, value });
            self.space();
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            self.expect(b',')?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value<'a>, Found> {
        self.expect(b'[')?;
        let mut nodes = Vec::new();
        self.space();
        if self.take(b']') {
            return Ok(Value::List(nodes));
        }
        loop {
            let index = nodes.len();
            nodes.push(self.value(depth + 1).map_err(|found| found.at(index))?);
            self.space();
            if self.take(b']') {
                return Ok(Value::List(nodes));
            }
            self.expect(b',')?;
        }
    }

    fn digits(&mut self) -> Result<(), Found> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.refuse()) }
    }

    fn number(&mut self) -> Result<&'a str, Found> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn string(&mut self) -> Result<String, Found> {
        self.expect(b'"')?;
        let mut string = String::new();
        loop {
            let rest = self.rest();
            let plain = rest
                .find(|c: char| matches!(c, '"' | '\\') || c < ' ')
                .ok_or_else(|| Found::new(Reason::NotJson, self.text.len()))?;
            string.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            if self.take(b'"') {
                return Ok(string);
            }
            if !self.take(b'\\') {
                // A control character.
                return Err(self.refuse());
            }
            string.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, Found> {
        let escaped = self.peek().ok_or_else(|| self.refuse())?;
        let plain = match escaped {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.refuse()),
        };
        self.at += 1;
        Ok(plain)
    }

    /// `u` and four hexadecimal digits, twice for characters beyond the basic plane. Half a pair is no character.
    fn unicode(&mut self) -> Result<char, Found> {
        let start = self.at;
        let high = self.unit()?;
        let code = match high {
            0xD800..=0xDBFF => {
                self.expect(b'\\')?;
                match self.unit()? {
                    low @ 0xDC00..=0xDFFF => 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00),
                    _ => return Err(Found::new(Reason::NotJson, start)),
                }
            }
            code => code,
        };
        char::from_u32(code).ok_or_else(|| Found::new(Reason::NotJson, start))
    }

    fn unit(&mut self) -> Result<u32, Found> {
        self.expect(b'u')?;
        let digits =
            self.text.get(self.at..self.at + 4).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or_else(|| self.refuse())?;
        self.at += 4;
        Ok(unit)
    }
}
