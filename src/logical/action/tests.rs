//! What all tests of actions share.

mod errors;
pub(crate) mod forms;
mod generated;
mod northd;

use super::{Action, Actions, Context, Pipeline, parse_actions};

/// Where the tests' actions stand: table 10 of the ingress pipeline.
pub(crate) fn here() -> Context<'static> {
    Context::at(Pipeline::Ingress, 10)
}

fn read(text: &str) -> Actions {
    parse_actions(text, &here()).unwrap_or_else(|error| panic!("{}", error.render(text)))
}

/// The only action of a text.
fn one(text: &str) -> Action {
    let mut list = read(text).list;
    assert_eq!(list.len(), 1, "{text}");
    list.remove(0)
}

fn refused(text: &str, context: &Context<'_>) -> (String, String) {
    let error = parse_actions(text, context).expect_err(text);
    (text[error.span.clone()].to_owned(), error.sentence)
}
