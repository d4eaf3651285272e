//! `millrace ovn`: OVN's matches and actions from standard input, a line each, in their canonical form. No switch is
//! asked.

use std::fmt::Display;

use serde_json::json;

use super::Failure;
use super::args::{OvnCommand, OvnNames, OvnWhat};
use crate::logical::SyntaxError;
use crate::logical::action::{Context, Pipeline, TABLES, parse_actions};
use crate::logical::error::shortened;
use crate::logical::expr::{Expr, parse_microflow};
use crate::logical::lex::{Kind as Token, Lexer};
use crate::logical::microflow::Microflow;
use crate::logical::names::{AddressSet, FixedNames, PortGroup};

/// What is said of one line.
pub(super) struct Answer {
    /// Its canonical form, tokens or value, or what is wrong with it.
    pub result: Result<Said, SyntaxError>,
}

/// What is said of a line that was understood.
pub(super) struct Said {
    form: String,
    /// What actions imply.
    prereqs: Option<String>,
}

impl Said {
    fn form(form: impl Display) -> Self {
        Self { form: form.to_string(), prereqs: None }
    }
}

/// The command, ready to read lines.
pub(super) struct Reader {
    names: FixedNames,
    what: What,
}

enum What {
    Lex,
    Parse,
    Annotate,
    Normalize,
    Evaluate(Box<Microflow>),
    Actions(Context<'static>),
}

impl Reader {
    /// The command with its names, and the microflow if it has one.
    pub fn new(command: OvnCommand) -> Result<Self, Failure> {
        let names = names(&command.names)?;
        let what = match command.what {
            OvnWhat::Lex => What::Lex,
            OvnWhat::ParseExpr => What::Parse,
            OvnWhat::AnnotateExpr => What::Annotate,
            OvnWhat::NormalizeExpr => What::Normalize,
            OvnWhat::EvaluateExpr { microflow } => {
                let flow = parse_microflow(&microflow, &names);
                What::Evaluate(Box::new(flow.map_err(|error| Failure::Usage(error.render(&microflow)))?))
            }
            OvnWhat::ParseActions { egress, table } => {
                let pipeline = if egress { Pipeline::Egress } else { Pipeline::Ingress };
                What::Actions(Context::at(pipeline, table_number(&table)?))
            }
        };
        Ok(Self { names, what })
    }

    /// What is to be said of a line.
    pub fn read(&self, line: &str) -> Answer {
        Answer { result: self.try_read(line) }
    }

    fn try_read(&self, line: &str) -> Result<Said, SyntaxError> {
        let parse = || Expr::parse(line, &self.names);
        Ok(match &self.what {
            What::Lex => {
                let tokens: Vec<_> = Lexer::new(line).map(|token| token.kind.to_string()).collect();
                Said::form(tokens.join(" "))
            }
            What::Parse => Said::form(parse()?),
            What::Annotate => Said::form(parse()?.annotate()),
            What::Normalize => {
                let normal = parse()?.annotate().normalize();
                Said::form(normal.map_err(|error| SyntaxError::new(0..line.len(), error.to_string()))?)
            }
            What::Evaluate(flow) => Said::form(parse()?.annotate().eval(flow, &self.names)),
            What::Actions(context) => {
                let actions = parse_actions(line, context)?;
                let prereqs = actions.prereqs.expr().map(|expr| expr.to_string());
                Said { form: actions.to_string(), prereqs }
            }
        })
    }
}

impl Answer {
    /// As text: the form, and what actions imply below it; or the sentence with the place.
    pub fn text(&self, line: &str) -> String {
        match &self.result {
            Ok(Said { form, prereqs: None }) => format!("{form}\n"),
            Ok(Said { form, prereqs: Some(prereqs) }) => format!("{form}\n    has prereqs {prereqs}\n"),
            Err(error) => format!("{}\n", error.render(line)),
        }
    }

    /// As one line of JSON.
    pub fn json(&self, line: &str) -> String {
        let value = match &self.result {
            Ok(Said { form, prereqs }) => json!({ "input": line, "form": form, "prereqs": prereqs }),
            Err(error) => json!({
                "input": line,
                "error": error.sentence,
                "span": [error.span.start, error.span.end],
            }),
        };
        format!("{value}\n")
    }
}

fn table_number(word: &str) -> Result<u8, Failure> {
    word.parse().ok().filter(|table| *table < TABLES).ok_or_else(|| {
        let (word, last) = (shortened(word), TABLES - 1);
        Failure::Usage(format!(
            "\"{word}\" does not fit --table; write the number of a table, from 0 to {last}"
        ))
    })
}

/// Whether a text is one constant and nothing else.
fn is_constant(text: &str) -> bool {
    let tokens: Vec<Token> = Lexer::new(text).take(2).map(|token| token.kind).collect();
    matches!(tokens[..], [Token::Number(_)])
}

fn names(given: &OvnNames) -> Result<FixedNames, Failure> {
    let mut names = FixedNames::new();
    for word in &given.address_set {
        let (name, members) = list("--address-set", word, "NAME=10.0.0.1,10.0.0.0/24")?;
        let members: Vec<&str> = members.collect();
        if let Some(odd) = members.iter().find(|member| !is_constant(member)) {
            let odd = shortened(odd);
            return Err(Failure::Usage(format!(
                "\"{odd}\" in --address-set is no address; write such as 10.0.0.1, 10.0.0.0/24, fd00::1 or \
                 02:00:00:00:00:01"
            )));
        }
        names.add_address_set(AddressSet::new(name, members));
    }
    for word in &given.port_group {
        let (name, ports) = list("--port-group", word, "NAME=lp1,lp2")?;
        names.add_port_group(PortGroup::new(name, ports));
    }
    for word in &given.port {
        let port = word.rsplit_once('=').and_then(|(name, key)| Some((name, key.parse::<u16>().ok()?)));
        let Some((name, key @ 1..)) = port else {
            return Err(Failure::Usage(format!(
                "\"{word}\" does not fit --port; write NAME=KEY with a key from 1 to 65535, such as lp1=1"
            )));
        };
        names.add_port(name, key.into());
    }
    for port in &given.resident {
        names.add_resident(port);
    }
    Ok(names)
}

/// `NAME=A,B,…`
fn list<'w>(
    option: &str,
    word: &'w str,
    example: &str,
) -> Result<(&'w str, impl Iterator<Item = &'w str>), Failure> {
    match word.split_once('=') {
        Some((name, members)) if !name.is_empty() => {
            Ok((name, members.split(',').filter(|member| !member.is_empty())))
        }
        _ => Err(Failure::Usage(format!("\"{word}\" does not fit {option}; write {example}"))),
    }
}
