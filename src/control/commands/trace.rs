//! `trace`: what becomes of a packet in the logical network, as ovn-trace says it.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, CommandError, MAX_ANSWER, Pending, bounded, done};
use crate::control::switch::Switch;
use crate::logical::trace::{Form, Request, Trace};

/// A trace in the one form that the client gets.
struct Rendered(String);

impl Answer for Rendered {
    fn text(&self) -> Result<String, CommandError> {
        Ok(self.0.clone())
    }

    fn json(&self) -> Result<String, CommandError> {
        Ok(self.0.clone())
    }
}

/// `trace [OPTION...] [DATAPATH] MICROFLOW`
pub fn trace(switch: Rc<Switch>, args: Vec<String>, as_json: bool) -> Pending {
    Box::pin(async move {
        let request = Request::parse(&args).map_err(refused)?;
        let turn = Arc::clone(switch.trace_turns()).acquire_owned().await.map_err(refused)?;
        let tracing = switch.state_mut().logical.tracing();
        // Elsewhere, since reading the flows of a large network takes a while, as does writing a long trace, and
        // others are served meanwhile. The turn ends with the work, also where the client is gone before.
        let traced = tokio::task::spawn_blocking(move || {
            let trace = tracing.tracer.run(&request).map_err(refused);
            let shown = trace.and_then(|trace| render(&trace, &request.wanted(), as_json));
            drop(turn);
            (tracing, shown)
        });
        let (tracing, shown) = traced.await.map_err(refused)?;
        switch.state_mut().logical.keep(tracing);
        done(Rendered(shown?))
    })
}

/// Written no further than an answer may be long: tables that are nested deep come with many blanks.
pub(super) fn render(trace: &Trace, forms: &[Form], as_json: bool) -> Result<String, CommandError> {
    if !as_json {
        return bounded::text(&trace.display(forms));
    }
    let json = trace.json()?;
    if json.len() > MAX_ANSWER { Err(CommandError::TooLong) } else { Ok(json) }
}

fn refused(error: impl fmt::Display) -> CommandError {
    CommandError::Argument(error.to_string())
}
