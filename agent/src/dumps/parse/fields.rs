//! The outer layer of a profile: its fields one after the other, nothing copied.
//!
//! <https://protobuf.dev/programming-guides/encoding/>

use super::ParseError;

/// A field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    /// Where it begins.
    pub(super) offset: usize,
    /// Its number.
    pub(super) tag: u64,
    /// Its value.
    pub(super) value: Value<'a>,
}

/// A value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A number.
    Number(u64),
    /// A text, a record, or a list of numbers.
    Bytes(&'a [u8]),
    /// What no field of a profile has.
    Other,
}

/// Fields of a record, or numbers of a list.
pub(super) struct Fields<'a> {
    whole: usize,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Of the record in these bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { whole: bytes.len(), rest: bytes }
    }

    fn field(&mut self, offset: usize) -> Option<Field<'a>> {
        let key = self.number()?;
        let value = match key & 7 {
            0 => Value::Number(self.number()?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return None,
        };
        let tag = key >> 3;
        (tag > 0).then_some(Field { offset, tag, value })
    }

    /// The next number, which may stand in a list.
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let offset = self.whole.saturating_sub(self.rest.len());
        let field = self.field(offset);
        if field.is_none() {
            // Nothing behind it can be read.
            self.rest = &[];
        }
        Some(field.ok_or(ParseError::Byte { offset, why: "no field of a profile begins there" }))
    }
}
