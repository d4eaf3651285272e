//! `trace`: what becomes of a packet in the logical network, as ovn-trace says it.

use std::fmt::{self, Write};
use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, CommandError, Pending, done};
use crate::control::switch::Switch;
use crate::logical::trace::{Form, Request, Trace};

/// Most bytes of a trace as text, most of which are blanks where tables are nested deep.
const MAX_TEXT: usize = 64 << 20;

/// A trace in the one form that the client gets.
struct Rendered(String);

impl Answer for Rendered {
    fn text(&self) -> String {
        self.0.clone()
    }

    fn json(&self) -> Result<String, serde_json::Error> {
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

pub(super) fn render(trace: &Trace, forms: &[Form], as_json: bool) -> Result<String, CommandError> {
    if as_json {
        return Ok(trace.json()?);
    }
    let mut out = Bounded(String::new());
    match write!(out, "{}", trace.display(forms)) {
        Ok(()) => Ok(out.0),
        Err(fmt::Error) => Err(CommandError::Argument(format!(
            "the trace would have more than {MAX_TEXT} bytes of text; ask for --minimal or --json"
        ))),
    }
}

/// Text that cannot grow beyond [`MAX_TEXT`].
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_TEXT {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

fn refused(error: impl fmt::Display) -> CommandError {
    CommandError::Argument(error.to_string())
}
