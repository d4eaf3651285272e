//! `trace`: what becomes of a packet in the logical network, as ovn-trace says it.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use super::{Answer, CommandError, Form, Gone, MAX_ANSWER, Rendering, bounded};
use crate::control::switch::Switch;
use crate::logical::trace::{self, Request, Stop, Trace};

/// A trace in the forms that the client asks for.
pub(super) struct Shown<'t> {
    pub trace: &'t Trace,
    pub forms: &'t [trace::Form],
}

impl Answer for Shown<'_> {
    /// Written no further than an answer may be long: tables that are nested deep come with many blanks.
    fn text(&self) -> Result<String, CommandError> {
        bounded::text(&self.trace.display(self.forms))
    }

    fn json(&self) -> Result<String, CommandError> {
        let json = self.trace.json()?;
        if json.len() > MAX_ANSWER { Err(CommandError::TooLong) } else { Ok(json) }
    }
}

/// `trace [OPTION...] [DATAPATH] MICROFLOW`
pub fn trace(switch: Rc<Switch>, args: Vec<String>, form: Form, gone: Gone) -> Rendering {
    Box::pin(async move {
        let request = Request::parse(&args).map_err(refused)?;
        let turn = tokio::select! {
            biased;
            () = gone.told() => return Err(CommandError::Gone),
            turn = Arc::clone(switch.trace_turns()).acquire_owned() => turn.map_err(refused)?,
        };
        let tracing = switch.state_mut().logical.tracing();
        let stop = Stop::default();
        // Elsewhere, since reading the flows of a large network takes a while, as does writing a long trace, and
        // others are served meanwhile. The turn ends with the work, also where the client is gone before.
        let until = stop.clone();
        let mut traced = tokio::task::spawn_blocking(move || {
            let trace = tracing.tracer.run_until(&request, &until).map_err(refused);
            let written =
                trace.and_then(|trace| form.write(&Shown { trace: &trace, forms: &request.wanted() }));
            drop(turn);
            (tracing, written)
        });
        let (tracing, written) = tokio::select! {
            traced = &mut traced => traced.map_err(refused)?,
            () = gone.told() => {
                stop.tell();
                return Err(CommandError::Gone);
            }
        };
        switch.state_mut().logical.keep(tracing);
        written
    })
}

fn refused(error: impl fmt::Display) -> CommandError {
    CommandError::Argument(error.to_string())
}
