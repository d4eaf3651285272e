//! Tokens of OVN's language, which matches and actions share.
//!
//! The invariant: a token prints a form that is read back as the same token, errors and the end aside. A lexer never
//! stops at an error; it gives an error token and goes on behind it.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::packet::Mac;
use crate::packet::addr::Ipv6Text;

/// A token and the bytes it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind<'a>,
    /// Where it stood.
    pub span: Range<usize>,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A word: `ip4.src`, `next`
    Id(&'a str),
    /// A quoted text, unescaped
    Str(Cow<'a, str>),
    /// `^name`, a variable of a template
    Template(&'a str),
    /// `$name`, an address set
    Macro(&'a str),
    /// `@name`, a port group
    PortGroup(&'a str),
    /// A constant
    Number(Number),
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `{`
    LeftCurly,
    /// `}`
    RightCurly,
    /// `[`
    LeftSquare,
    /// `]`
    RightSquare,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `!`
    Not,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `..`
    Ellipsis,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `=`
    Assign,
    /// `<->`
    Exchange,
    /// `--`
    Decrement,
    /// `:`
    Colon,
    /// `-`
    Hyphen,
    /// What is no token
    Error(LexError),
    /// The end of the text
    End,
}

/// How a number was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// 10
    Decimal,
    /// 0xa
    Hex,
    /// 02:00:00:00:00:01
    Ethernet,
    /// 192.0.2.1
    Ipv4,
    /// 2001:db8::1
    Ipv6,
}

impl Format {
    /// Bits of a value written so.
    pub const fn bits(self) -> u16 {
        match self {
            Format::Decimal => 64,
            Format::Hex | Format::Ipv6 => 128,
            Format::Ethernet => 48,
            Format::Ipv4 => 32,
        }
    }
}

/// A constant with the form it was written in. A bit that the mask leaves out is zero in the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Number {
    /// The value, right-aligned.
    pub value: u128,
    /// The bits that count, where the constant says so.
    pub mask: Option<u128>,
    /// The form.
    pub format: Format,
}

impl Number {
    /// The least width of a field that the constant makes sense for: by its mask, else by its form for addresses and
    /// by its value for plain numbers.
    pub fn width(&self) -> u16 {
        let bits = |value: u128| (128 - value.leading_zeros()) as u16;
        match (self.mask, self.format) {
            (Some(mask), _) => bits(mask),
            (None, Format::Decimal | Format::Hex) => bits(self.value),
            (None, format) => format.bits(),
        }
    }
}

/// Why something is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LexError {
    /// A character that begins nothing.
    #[error("the character {0:?} begins nothing in this language; remove it, or put a name in double quotes")]
    Character(char),
    /// Half of an operator.
    #[error("\"{half}\" means nothing alone; write {whole}")]
    Half {
        /// What was found.
        half: &'static str,
        /// What it is a part of.
        whole: &'static str,
    },
    /// `/*` without `*/`.
    #[error("this comment does not end on its line; close it by */")]
    OpenComment,
    /// A quoted text without its second quote.
    #[error("the quoted text does not end; close it by a double quote")]
    OpenString,
    /// A quoted text with a bad escape.
    #[error("the quoted text has an escape that is not one of JSON; write \\\\ for a backslash")]
    Escape,
    /// `$`, `@` or `^` without a name.
    #[error("no name follows \"{0}\"; write it before a letter, an underscore or a dot")]
    NameExpected(char),
    /// No digits behind 0x.
    #[error("no hexadecimal digits follow 0x; write at least one")]
    NoHexDigits,
    /// A letter among hexadecimal digits.
    #[error("the hexadecimal constant has a character that is no such digit; use 0 to 9 and a to f")]
    HexDigit,
    /// A hexadecimal constant beyond 128 bits.
    #[error("the hexadecimal constant has more than 128 bits; shorten it to 32 digits")]
    HexTooLong,
    /// Decimal digits behind a zero.
    #[error("the decimal constant begins with a zero; leave that out, or write 0x for hexadecimal")]
    LeadingZero,
    /// A decimal constant beyond 64 bits.
    #[error("the decimal constant is 2**64 or more; write it in hexadecimal")]
    DecimalTooLarge,
    /// What looks like a number and is none.
    #[error(
        "this is no number and no address; write a decimal or 0x number, an Ethernet, IPv4 or IPv6 address"
    )]
    NoNumber,
    /// A mask in another form than the value.
    #[error(
        "the mask has another form than the value; write both alike, or a prefix length behind an IP address"
    )]
    MaskForm,
    /// Nothing behind the slash.
    #[error("no mask follows the slash; write one in the form of the value")]
    NoMask,
}

/// Reads tokens from a text. As an iterator it ends before the [`Kind::End`] that [`Lexer::token`] gives.
#[derive(Clone, Copy, Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        Some(self.token()).filter(|token| token.kind != Kind::End)
    }
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token; [`Kind::End`] from the end on.
    pub fn token(&mut self) -> Token<'a> {
        if let Err(token) = self.skip_blanks() {
            return token;
        }
        let start = self.at;
        let kind = self.kind();
        Token { kind, span: start..self.at }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// Takes `length` bytes that are known to be whole characters.
    fn take(&mut self, length: usize) -> &'a str {
        let taken = self.rest().get(..length).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    /// Takes the bytes from the front that `wanted` accepts, all of them ASCII.
    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let length = self.rest().bytes().take_while(|byte| byte.is_ascii() && wanted(*byte)).count();
        self.take(length)
    }

    /// Skips white space and comments; fails with an error token where a comment does not end.
    fn skip_blanks(&mut self) -> Result<(), Token<'a>> {
        loop {
            self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c));
            let rest = self.rest();
            if rest.starts_with("//") {
                self.take(rest.find('\n').unwrap_or(rest.len()));
            } else if rest.starts_with("/*") {
                let line = rest.split('\n').next().unwrap_or_default();
                let inside = line.get(2..).unwrap_or_default();
                let start = self.at;
                let Some(length) = inside.find("*/") else {
                    self.take(line.len());
                    return Err(Token { kind: Kind::Error(LexError::OpenComment), span: start..self.at });
                };
                self.take(length + 4);
            } else {
                return Ok(());
            }
        }
    }

    fn kind(&mut self) -> Kind<'a> {
        let Some(first) = self.byte(0) else { return Kind::End };
        let second = self.byte(1);
        let (length, kind) = match (first, second) {
            (b'(', _) => (1, Kind::LeftParen),
            (b')', _) => (1, Kind::RightParen),
            (b'{', _) => (1, Kind::LeftCurly),
            (b'}', _) => (1, Kind::RightCurly),
            (b'[', _) => (1, Kind::LeftSquare),
            (b']', _) => (1, Kind::RightSquare),
            (b'=', Some(b'=')) => (2, Kind::Eq),
            (b'=', _) => (1, Kind::Assign),
            (b'!', Some(b'=')) => (2, Kind::Ne),
            (b'!', _) => (1, Kind::Not),
            (b'&', Some(b'&')) => (2, Kind::And),
            (b'&', _) => (1, half("&", "&&")),
            (b'|', Some(b'|')) => (2, Kind::Or),
            (b'|', _) => (1, half("|", "||")),
            (b'<', Some(b'=')) => (2, Kind::Le),
            (b'<', Some(b'-')) if self.byte(2) == Some(b'>') => (3, Kind::Exchange),
            (b'<', _) => (1, Kind::Lt),
            (b'>', Some(b'=')) => (2, Kind::Ge),
            (b'>', _) => (1, Kind::Gt),
            (b'.', Some(b'.')) => (2, Kind::Ellipsis),
            (b'.', _) => (1, half(".", ".. or a number")),
            (b'/', _) => (1, half("/", "// or /* for a comment, or a mask right behind a number")),
            (b',', _) => (1, Kind::Comma),
            (b';', _) => (1, Kind::Semicolon),
            (b'-', Some(b'-')) => (2, Kind::Decrement),
            (b'-', _) => (1, Kind::Hyphen),
            (b':', second) if second != Some(b':') => (1, Kind::Colon),
            (b'"', _) => return self.string(),
            (b'$', _) => return self.sigil('$', Kind::Macro),
            (b'@', _) => return self.sigil('@', Kind::PortGroup),
            (b'^', _) => return self.sigil('^', Kind::Template),
            (b'0'..=b'9' | b':', _) => return self.number(),
            // An address may begin with a letter, but then a colon ends its first digits, as in no word.
            (b'a'..=b'f' | b'A'..=b'F', _) if self.hex_then_colon() => return self.number(),
            (first, _) if begins_id(first) => return Kind::Id(self.take_while(continues_id)),
            _ => {
                let odd = self.rest().chars().next().unwrap_or_default();
                (odd.len_utf8(), Kind::Error(LexError::Character(odd)))
            }
        };
        self.take(length);
        kind
    }

    fn hex_then_colon(&self) -> bool {
        self.rest().bytes().find(|byte| !byte.is_ascii_hexdigit()) == Some(b':')
    }

    fn sigil(&mut self, sigil: char, kind: fn(&'a str) -> Kind<'a>) -> Kind<'a> {
        self.take(1);
        if !self.byte(0).is_some_and(begins_id) {
            return Kind::Error(LexError::NameExpected(sigil));
        }
        kind(self.take_while(continues_id))
    }

    fn string(&mut self) -> Kind<'a> {
        let mut escaped = false;
        let close = self.rest().bytes().skip(1).position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        let Some(length) = close else {
            self.at = self.text.len();
            return Kind::Error(LexError::OpenString);
        };
        let quoted = self.take(length + 2);
        let inside = quoted.get(1..length + 1).unwrap_or_default();
        if !inside.contains('\\') {
            return Kind::Str(Cow::Borrowed(inside));
        }
        match serde_json::from_str(quoted) {
            Ok(text) => Kind::Str(Cow::Owned(text)),
            Err(_) => Kind::Error(LexError::Escape),
        }
    }

    fn number(&mut self) -> Kind<'a> {
        let number = self.plain_number();
        if self.byte(0) != Some(b'/') || number.is_err() {
            return number.map_or_else(Kind::Error, Kind::Number);
        }
        self.take(1);
        let mask = self.plain_number();
        number.and_then(|number| masked(number, mask?)).map_or_else(Kind::Error, Kind::Number)
    }

    /// A constant without its mask. A doubled dot ends it (`0..3`), and so does a colon behind a dot (`10.0.0.1:80`).
    fn plain_number(&mut self) -> Result<Number, LexError> {
        let mut saw_dot = false;
        let mut length = 0;
        while let Some(byte) = self.byte(length) {
            match byte {
                b'.' if self.byte(length + 1) != Some(b'.') => saw_dot = true,
                b':' if !saw_dot => {}
                _ if byte.is_ascii_alphanumeric() => {}
                _ => break,
            }
            length += 1;
        }
        let text = self.take(length);
        let plain = |value, format| Ok(Number { value, mask: None, format });
        if text.is_empty() {
            return Err(LexError::NoMask);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            if text.len() > 1 && text.starts_with('0') {
                return Err(LexError::LeadingZero);
            }
            let value: u64 = text.parse().map_err(|_| LexError::DecimalTooLarge)?;
            return plain(value.into(), Format::Decimal);
        }
        if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            return plain(hexadecimal(digits)?, Format::Hex);
        }
        if text.len() == 17
            && let Ok(mac) = text.parse::<Mac>()
        {
            return plain(mac.to_u64().into(), Format::Ethernet);
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return plain(address.to_bits().into(), Format::Ipv4);
        }
        let address: Ipv6Addr = text.parse().map_err(|_| LexError::NoNumber)?;
        plain(address.to_bits(), Format::Ipv6)
    }
}

fn half<'a>(half: &'static str, whole: &'static str) -> Kind<'a> {
    Kind::Error(LexError::Half { half, whole })
}

const fn begins_id(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'.'
}

const fn continues_id(byte: u8) -> bool {
    begins_id(byte) || byte.is_ascii_digit()
}

fn hexadecimal(digits: &str) -> Result<u128, LexError> {
    if digits.is_empty() {
        return Err(LexError::NoHexDigits);
    }
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(LexError::HexDigit);
    }
    match digits.trim_start_matches('0') {
        "" => Ok(0),
        digits => u128::from_str_radix(digits, 16).map_err(|_| LexError::HexTooLong),
    }
}

/// `number/mask`: both in one form, a prefix length behind an address, or hexadecimal behind a plain zero.
fn masked(number: Number, mask: Number) -> Result<Number, LexError> {
    let prefix = |width: u16, length: u128| {
        let length = u16::try_from(length).ok().filter(|length| *length <= width)?;
        Some(ones(width) & !ones(width - length))
    };
    let (format, bits) = match (number.format, mask.format) {
        (form, mask_form) if form == mask_form => (form, Some(mask.value)),
        (Format::Ipv4, Format::Decimal) => (Format::Ipv4, prefix(32, mask.value)),
        (Format::Ipv6, Format::Decimal) => (Format::Ipv6, prefix(128, mask.value)),
        (Format::Decimal, Format::Hex) if number.value == 0 => (Format::Hex, Some(mask.value)),
        _ => return Err(LexError::MaskForm),
    };
    let bits = bits.ok_or(LexError::MaskForm)?;
    Ok(Number { value: number.value & bits, mask: Some(bits), format })
}

/// Ones in the low `bits` of 128.
pub(in crate::logical) const fn ones(bits: u16) -> u128 {
    match bits {
        0 => 0,
        bits => u128::MAX >> (128 - bits as u32),
    }
}

/// Length of the prefix that `mask` is in `width` bits, if it is one.
fn prefix_length(mask: u128, width: u16) -> Option<u16> {
    let length = mask.count_ones() as u16;
    (length <= width && mask == ones(width) & !ones(width - length)).then_some(length)
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing that was read has bits its form has no room for, but a number may be made in another way.
        let fits = (self.value | self.mask.unwrap_or(0)) & !ones(self.format.bits()) == 0;
        let format = if fits { self.format } else { Format::Hex };
        plain(f, self.value, format)?;
        let Some(mask) = self.mask else { return Ok(()) };
        let prefix = match format {
            Format::Ipv4 => prefix_length(mask, 32),
            Format::Ipv6 => prefix_length(mask, 128),
            _ => None,
        };
        f.write_str("/")?;
        match prefix {
            Some(length) => write!(f, "{length}"),
            None => plain(f, mask, format),
        }
    }
}

fn plain(f: &mut fmt::Formatter<'_>, value: u128, format: Format) -> fmt::Result {
    match format {
        Format::Decimal => write!(f, "{value}"),
        Format::Hex => write!(f, "{value:#x}"),
        Format::Ethernet => write!(f, "{}", Mac::from_u64(value as u64)),
        Format::Ipv4 => write!(f, "{}", Ipv4Addr::from_bits(value as u32)),
        Format::Ipv6 => write!(f, "{}", Ipv6Text(value)),
    }
}

/// Prints a text as a quoted constant.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c >= ' ' && c != '"' && c != '\\';
        if self.0.chars().all(plain) {
            return write!(f, "\"{}\"", self.0);
        }
        f.write_str(&serde_json::to_string(self.0).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Id(name) => name,
            Kind::Str(text) => return Quoted(text).fmt(f),
            Kind::Template(name) => return write!(f, "^{name}"),
            Kind::Macro(name) => return write!(f, "${name}"),
            Kind::PortGroup(name) => return write!(f, "@{name}"),
            Kind::Number(number) => return number.fmt(f),
            Kind::LeftParen => "(",
            Kind::RightParen => ")",
            Kind::LeftCurly => "{",
            Kind::RightCurly => "}",
            Kind::LeftSquare => "[",
            Kind::RightSquare => "]",
            Kind::Eq => "==",
            Kind::Ne => "!=",
            Kind::Lt => "<",
            Kind::Le => "<=",
            Kind::Gt => ">",
            Kind::Ge => ">=",
            Kind::Not => "!",
            Kind::And => "&&",
            Kind::Or => "||",
            Kind::Ellipsis => "..",
            Kind::Comma => ",",
            Kind::Semicolon => ";",
            Kind::Assign => "=",
            Kind::Exchange => "<->",
            Kind::Decrement => "--",
            Kind::Colon => ":",
            Kind::Hyphen => "-",
            Kind::Error(error) => return write!(f, "error({})", Quoted(&error.to_string())),
            Kind::End => "$",
        })
    }
}

#[cfg(test)]
mod tests;
