//! `trace`: what becomes of a packet in the logical network, as ovn-trace says it.

use std::rc::Rc;

use super::{Answer, CommandError, MAX_ANSWER, Pending, bounded, done};
use crate::control::switch::Switch;
use crate::logical::trace::{Form, Request, Trace};

struct Shown {
    trace: Trace,
    forms: Vec<Form>,
}

impl Answer for Shown {
    fn text(&self) -> Result<String, CommandError> {
        bounded::text(&self.trace.display(&self.forms))
    }

    fn json(&self) -> Result<String, CommandError> {
        let json = self.trace.json()?;
        if json.len() > MAX_ANSWER { Err(CommandError::TooLong) } else { Ok(json) }
    }
}

/// `trace [OPTION...] [DATAPATH] MICROFLOW`
pub fn trace(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        let request = Request::parse(&args).map_err(refused)?;
        let forms = request.wanted();
        let tracing = switch.state_mut().logical.tracing();
        // Elsewhere, since reading the flows of a large network takes a while and others are served meanwhile.
        let traced = tokio::task::spawn_blocking(move || {
            let trace = tracing.tracer.run(&request);
            (tracing, trace)
        });
        let (tracing, trace) = traced.await.map_err(refused)?;
        switch.state_mut().logical.keep(tracing);
        done(Shown { trace: trace.map_err(refused)?, forms })
    })
}

fn refused(error: impl std::fmt::Display) -> CommandError {
    CommandError::Argument(error.to_string())
}
