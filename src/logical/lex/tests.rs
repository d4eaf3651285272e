use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn canonical(text: &str) -> String {
    Lexer::new(text).map(|token| token.kind.to_string()).collect::<Vec<_>>().join(" ")
}

#[rstest]
#[case("a.b_c7==x", "a.b_c7 == x")]
#[case("_x .5", "_x error(\"\\\".\\\" means nothing alone; write .. or a number\") 5")]
#[case("1 0x1F 0X00ff", "1 0x1f 0xff")]
#[case("18446744073709551615", "18446744073709551615")]
#[case("0xffffffffffffffffffffffffffffffff", "0xffffffffffffffffffffffffffffffff")]
#[case("0x0000000000000000000000000000000000000007", "0x7")]
#[case("AA:bb:00:11:22:33", "aa:bb:00:11:22:33")]
#[case("192.0.2.7 192.0.2.7/24", "192.0.2.7 192.0.2.0/24")]
#[case("192.0.2.7/255.0.255.0", "192.0.2.0/255.0.255.0")]
#[case("2001:DB8:0:0::1 ::", "2001:db8::1 ::")]
#[case("2001:db8::1/ffff:ffff::", "2001:db8::/32")]
#[case("fe80::/10 ::/0 0.0.0.0/0", "fe80::/10 ::/0 0.0.0.0/0")]
#[case("::ffff:192.0.2.1", "::ffff:192.0.2.1")]
#[case("0/0x30 7/3 0x35/0xf0", "0x0/0x30 3/3 0x30/0xf0")]
#[case("01:00:00:00:00:00/01:00:00:00:00:00", "01:00:00:00:00:00/01:00:00:00:00:00")]
#[case("0..3 tcp.src[2..5]", "0 .. 3 tcp.src [ 2 .. 5 ]")]
#[case("10.0.0.1:80", "10.0.0.1 : 80")]
#[case("dead cafe:: face", "dead cafe:: face")]
#[case("$set_1 @pg.x ^t", "$set_1 @pg.x ^t")]
#[case("(){}[]==!=< <=> >=!&&||..,;=<->--:-", "( ) { } [ ] == != < <= > >= ! && || .. , ; = <-> -- : -")]
#[case("a // b\nc /* d */ e", "a c e")]
#[case("\"plain\" \"\"", "\"plain\" \"\"")]
#[case(r#""a\"b\\c\n\u00e4""#, "\"a\\\"b\\\\c\\nä\"")]
fn prints_the_canonical_form(#[case] text: &str, #[case] form: &str) {
    assert_eq!(canonical(text), form);
}

#[rstest]
#[case("007", LexError::LeadingZero, 0..3)]
#[case("18446744073709551616", LexError::DecimalTooLarge, 0..20)]
#[case("0x", LexError::NoHexDigits, 0..2)]
#[case("0xfg", LexError::HexDigit, 0..4)]
#[case("0x100000000000000000000000000000000", LexError::HexTooLong, 0..35)]
#[case("1a", LexError::NoNumber, 0..2)]
#[case("1.2.3", LexError::NoNumber, 0..5)]
#[case("1.2.3.256", LexError::NoNumber, 0..9)]
#[case("1::2::3", LexError::NoNumber, 0..7)]
#[case("1.2.3.4/33", LexError::MaskForm, 0..10)]
#[case("::1/129", LexError::MaskForm, 0..7)]
#[case("5/0x3", LexError::MaskForm, 0..5)]
#[case("1.2.3.4/ x", LexError::NoMask, 0..8)]
#[case("1.2.3.4/01", LexError::LeadingZero, 0..10)]
#[case("\"abc", LexError::OpenString, 0..4)]
#[case("\"abc\\\"", LexError::OpenString, 0..6)]
#[case("\"\\q\"", LexError::Escape, 0..4)]
#[case("/* a\n*/", LexError::OpenComment, 0..4)]
#[case("a $ b", LexError::NameExpected('$'), 2..3)]
#[case("@1", LexError::NameExpected('@'), 0..1)]
#[case("a & b", LexError::Half { half: "&", whole: "&&" }, 2..3)]
#[case("a | b", LexError::Half { half: "|", whole: "||" }, 2..3)]
#[case("#", LexError::Character('#'), 0..1)]
#[case("ä", LexError::Character('ä'), 0..2)]
#[case("\0", LexError::Character('\0'), 0..1)]
fn says_what_is_no_token(#[case] text: &str, #[case] error: LexError, #[case] span: Range<usize>) {
    let token = Lexer::new(text).find(|token| matches!(token.kind, Kind::Error(_)));
    assert_eq!(token, Some(Token { kind: Kind::Error(error), span }));
}

#[test]
fn widths_follow_the_mask_or_the_form() {
    let width = |text: &str| match Lexer::new(text).token().kind {
        Kind::Number(number) => number.width(),
        other => panic!("{other:?}"),
    };
    let cases = [("0", 0), ("255", 8), ("0x100", 9), ("0.0.0.1", 32), ("::", 128), ("00:00:00:00:00:00", 48)];
    for (text, bits) in cases.into_iter().chain([("10.0.0.0/8", 32), ("0x1/0x1", 1), ("::/0", 0), ("0/0", 0)])
    {
        assert_eq!(width(text), bits, "{text}");
    }
}

#[test]
fn a_number_too_wide_for_its_form_prints_in_hexadecimal() {
    let number = Number { value: 1 << 40, mask: None, format: Format::Ipv4 };
    assert_eq!(number.to_string(), "0x10000000000");
}

/// Pieces that tokens are made of, so that random texts are not only errors.
const PIECES: &[&str] = &[
    "ip4.src",
    "tcp",
    "a",
    ".",
    "..",
    "0",
    "1",
    "42",
    "0x",
    "0x1f",
    "10.0.0.1",
    "/",
    "24",
    "::",
    ":",
    "ff",
    "fe80::1",
    "00:11:22:33:44:55",
    "\"",
    "lp1",
    "\\",
    "\\n",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "=",
    "==",
    "!",
    "!=",
    "<",
    "<=",
    "<->",
    ">",
    "&",
    "&&",
    "|",
    "||",
    ",",
    ";",
    "-",
    "--",
    "$",
    "@",
    "^",
    " ",
    "\n",
    "//",
    "/*",
    "*/",
    "ä",
    "\0",
    "_",
];

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(text in prop_oneof![soup(), ".*"]) {
        let tokens: Vec<_> = Lexer::new(&text).collect();
        let mut end = 0;
        for token in &tokens {
            prop_assert!(token.span.start >= end && token.span.end > token.span.start);
            prop_assert!(text.get(token.span.clone()).is_some());
            end = token.span.end;
            if matches!(token.kind, Kind::Error(_)) {
                continue;
            }
            let printed = token.kind.to_string();
            let again: Vec<_> = Lexer::new(&printed).collect();
            prop_assert_eq!(again.len(), 1, "{}", printed);
            prop_assert_eq!(&again[0].kind.to_string(), &printed);
            match (&again[0].kind, &token.kind) {
                // A mask that is a prefix prints as its length, and 0/0x1 is in hexadecimal from the beginning.
                (Kind::Number(again), Kind::Number(number)) => {
                    prop_assert_eq!((again.value, again.mask), (number.value, number.mask));
                    prop_assert_eq!(again.format, number.format);
                }
                (again, kind) => prop_assert_eq!(again, kind),
            }
        }
    }
}
