//! Random matches and packets against the model, and random texts against panics.

use proptest::prelude::*;

use super::model::{Model, SET, entropy, model, names, names_everywhere, packet};
use crate::logical::expr::{Expr, Item, Normal, NormalizeError, parse_microflow};
use crate::logical::microflow::Microflow;
use crate::logical::symbol::symbols;

fn parse(model: &Model) -> Expr {
    let text = model.text(false);
    Expr::parse(&text, &names()).unwrap_or_else(|error| panic!("{}", error.render(&text)))
}

/// The normal form of a match that is not beyond the bounds, of which `examples` has tests.
fn normal(expr: Expr) -> Result<Normal, TestCaseError> {
    expr.normalize().map_err(|error| match error {
        NormalizeError::OtherPort => TestCaseError::fail(error.to_string()),
        _ => TestCaseError::reject(error.to_string()),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn means_what_the_model_means(model in model(true), entropy in prop::collection::vec(entropy(), 8)) {
        let names = names();
        let annotated = parse(&model).annotate();
        let normal = normal(annotated.clone())?;
        let whole = normal.to_expr();
        for entropy in &entropy {
            let flow = packet(&model, entropy);
            let wanted = model.holds(&flow.key, false);
            prop_assert_eq!(annotated.eval(&flow, &names), wanted, "annotated {}", annotated);
            prop_assert_eq!(normal.eval(&flow, &names), wanted, "normal {}", normal);
            prop_assert_eq!(whole.eval(&flow, &names), wanted, "printed {}", whole);
        }
    }

    #[test]
    fn what_is_printed_is_read_back(model in model(false)) {
        let expr = parse(&model);
        let printed = expr.to_string();
        prop_assert_eq!(Expr::parse(&printed, &names()), Ok(expr), "{}", printed);
    }

    #[test]
    fn names_print_as_what_they_stand_for(model in model(true)) {
        let printed = parse(&model).to_string();
        let again = Expr::parse(&printed, &names()).unwrap().to_string();
        prop_assert_eq!(again, printed);
    }

    /// The normal form asks each field once, asks nothing of parts of fields, and has one value where it must.
    #[test]
    fn the_normal_form_is_normal(model in model(true)) {
        let form = normal(parse(&model).annotate())?;
        for conjunction in &form.conjunctions {
            for pair in conjunction.clauses.windows(2) {
                prop_assert!(pair[0].symbol.name < pair[1].symbol.name, "{}", form);
            }
            for clause in &conjunction.clauses {
                prop_assert_eq!(clause.symbol.root().0, clause.symbol);
                let len: usize = clause.items.iter().map(Item::len).sum();
                prop_assert!(len > 0 && (len == 1 || !clause.symbol.is_single()), "{}", form);
            }
        }
        // And is its own normal form, but for names, which printing replaces.
        let again = normal(form.to_expr())?;
        prop_assert_eq!(again.to_string(), form.to_string());
    }

    /// A packet that a microflow describes meets it as a match.
    #[test]
    fn a_microflow_meets_itself(model in model(true)) {
        let names = names_everywhere();
        if let Ok(flow) = parse_microflow(&model.text(false), &names) {
            prop_assert!(parse(&model).annotate().eval(&flow, &names));
        }
    }

    #[test]
    fn any_tokens_are_read_or_refused(text in soup()) {
        check_text(&text)?;
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".*") {
        check_text(&text)?;
    }
}

/// Whatever the text, nothing panics, errors point into it, and what is read prints and goes through all forms.
fn check_text(text: &str) -> Result<(), TestCaseError> {
    let names = names();
    match Expr::parse(text, &names) {
        Err(error) => {
            prop_assert!(text.get(error.span.clone()).is_some(), "{:?}", error);
            error.render(text);
        }
        Ok(expr) => {
            let printed = expr.to_string();
            let again = Expr::parse(&printed, &names);
            prop_assert_eq!(again.map(|expr| expr.to_string()), Ok(printed));
            let flow = Microflow::default();
            let annotated = expr.annotate();
            let holds = annotated.eval(&flow, &names);
            if let Ok(normal) = annotated.normalize() {
                prop_assert_eq!(normal.eval(&flow, &names), holds);
            }
        }
    }
    if let Err(error) = parse_microflow(text, &names) {
        error.render(text);
    }
    Ok(())
}

const CONSTANTS: &[&str] = &[
    "0",
    "1",
    "0x1",
    "7",
    "10.0.0.1",
    "10.0.0.0/8",
    "fd00::/8",
    "0/0",
    "5/3",
    "\"p1\"",
    "$set",
    "@group",
    "$no",
    "^t",
];

fn soup() -> impl Strategy<Value = String> {
    let operators = vec!["==", "!=", "<", "<=", ">", ">=", "="];
    let names: Vec<_> = symbols().iter().map(|symbol| symbol.name).collect();
    let name = prop::sample::select(names);
    let part = prop::sample::select(vec!["", "", "[0]", "[3..5]", "[5..3]", "[0..200]"]);
    let constant = || prop::sample::select(CONSTANTS);
    let set = prop::collection::vec(constant(), 0..4).prop_map(|list| format!("{{{}}}", list.join(", ")));
    let operand = prop_oneof![3 => constant().prop_map(str::to_owned), 1 => set];
    let word = prop_oneof![
        6 => (name, part, prop::sample::select(operators), operand)
            .prop_map(|(name, part, operator, operand)| format!("{name}{part} {operator} {operand}")),
        2 => prop::sample::select(&["ip4", "!ip.is_frag", "0", "1", "vlan.present", "is_chassis_resident(\"p1\")"][..])
            .prop_map(str::to_owned),
        1 => prop::sample::select(&["(", ")", "!", "{", "}", "<", "=="][..]).prop_map(str::to_owned),
        1 => constant().prop_map(str::to_owned),
    ];
    let joint = prop::sample::select(&[" && ", " && ", " && ", " || ", " ", ""][..]);
    prop::collection::vec((word, joint), 1..8)
        .prop_map(|words| words.into_iter().map(|(word, joint)| format!("{word}{joint}")).collect::<String>())
        .prop_map(|text| text.trim_end_matches([' ', '&', '|']).to_owned())
}

/// A named set means what its members mean.
#[test]
fn a_named_set_is_its_members() {
    let names = names();
    let form = |text: &str| Expr::parse(text, &names).unwrap().annotate().normalize().unwrap().to_string();
    let members = SET.join(", ");
    for operator in ["==", "!="] {
        let named = form(&format!("ip4.src {operator} $set && tcp"));
        assert_eq!(named, form(&format!("ip4.src {operator} {{{members}}} && tcp")));
    }
}
