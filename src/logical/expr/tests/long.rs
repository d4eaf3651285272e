//! Long matches: the work to read them grows as they do.

use rstest::rstest;

use super::COUNTED;
use crate::logical::expr::Expr;
use crate::logical::names::{AddressSet, FixedNames};

/// How often items are asked for their constants while a chain of so many terms is read and annotated.
fn work(terms: usize, first: &str, term: &str, join: &str) -> usize {
    let mut names = FixedNames::new();
    names.add_address_set(AddressSet::new("none", []));
    let terms = (1..terms).map(|number| term.replace('#', &(number % 65_000 + 1).to_string()));
    let text: Vec<String> = std::iter::once(first.to_owned()).chain(terms).collect();
    COUNTED.set(0);
    let expr = Expr::parse(&text.join(join), &names).unwrap();
    assert!(!matches!(expr.annotate(), Expr::Bool(_)));
    COUNTED.get()
}

#[rstest]
#[case("tcp.dst == 1", "tcp.dst == #", " || ")]
#[case("tcp.dst != 1", "tcp.dst != #", " && ")]
#[case("ip4.src == 1", "ip4.src == {$none, $none, #, $none}", " || ")]
#[case("ip4.src == 1", "$none == ip4.src", " || ")]
fn a_chain_is_read_in_time_by_its_length(#[case] first: &str, #[case] term: &str, #[case] join: &str) {
    let (short, long) = (work(2_000, first, term, join), work(20_000, first, term, join));
    assert!(short >= 1_999 && long <= 11 * short, "{short} {long}");
    assert!(work(200_000, first, term, join) <= 110 * short);
}

#[test]
fn empty_sets_in_front_are_looked_through_once() {
    let front = format!("ip4.src == {{{}1}}", "$none ".repeat(2_000));
    let once = work(2, &front, "ip4.src == #", " || ");
    assert!(work(2_000, &front, "ip4.src == #", " || ") <= once + 20_000);
}

#[test]
fn sentences_quote_the_beginning_of_a_long_word() {
    let long = "x".repeat(1 << 20);
    for text in [
        long.clone(),
        format!("ip4.src == ${long}"),
        format!("inport == @{long}"),
        format!("ip4 && ^{long} == 1"),
        format!("ip4 == 1 \"{long}\""),
        format!("is_chassis_resident({long})"),
    ] {
        let sentence = Expr::parse(&text, &FixedNames::new()).unwrap_err().sentence;
        assert!(sentence.len() < 250 && sentence.contains(&format!("{}…", "x".repeat(59))), "{sentence}");
    }
}
