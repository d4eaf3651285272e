//! `trace`: what becomes of a packet in the logical network, as ovn-trace says it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use super::flows::{Lines, count_all};
use super::{Answer, CommandError, Form, Gone, MAX_ANSWER, Rendering, bounded};
use crate::control::switch::{State, Switch};
use crate::logical::trace::{self, Request, Stop, Trace};
use crate::pipeline::stats::FlowStats;
use crate::pipeline::{Flow, Tables};

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
        let mut tables = None;
        if request.ovs {
            count_all(&switch).await;
            tables = Some(InTables::new(&switch.state()));
        }
        let tracing = switch.state_mut().logical.tracing();
        let stop = Stop::default();
        // Elsewhere, since reading the flows of a large network takes a while, as does writing a long trace, and
        // others are served meanwhile. The turn ends with the work, also where the client is gone before.
        let until = stop.clone();
        let mut traced = tokio::task::spawn_blocking(move || {
            let trace = tracing.tracer.run_until(&request, &until).map_err(refused);
            let trace = trace.map(|trace| match &tables {
                Some(tables) => tables.beside(trace),
                None => trace,
            });
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

/// The flow tables beside a trace.
struct InTables {
    tables: Tables,
    stats: Arc<FlowStats>,
    lines: Lines,
}

impl InTables {
    fn new(state: &State) -> Self {
        let (tables, stats) = (state.flows.tables.clone(), Arc::clone(state.datapath.flow_stats()));
        Self { tables, stats, lines: Lines::new(state, false, true) }
    }

    /// The trace with the flows below each logical flow that have its cookie, by table and falling priority.
    fn beside(&self, mut trace: Trace) -> Trace {
        let hits = trace.nodes().iter().filter_map(|node| node.lookup.as_ref()?.flow.as_ref());
        let mut flows: HashMap<u64, Vec<&Arc<Flow>>> =
            hits.map(|hit| (hit.uuid.first_word().into(), Vec::new())).collect();
        for flow in self.tables.iter().filter(|flow| flow.options.lowered) {
            if let Some(same) = flows.get_mut(&flow.options.cookie) {
                same.push(flow);
            }
        }
        flows.values_mut().for_each(|same| same.sort_by_key(|flow| (flow.table, Reverse(flow.priority))));
        trace.interleave(|hit| {
            let same = flows.get(&hit.uuid.first_word().into()).into_iter().flatten();
            same.map(|flow| self.lines.line(flow, self.stats.read(flow.stats)).trim_start().to_owned())
                .collect()
        });
        trace
    }
}

fn refused(error: impl fmt::Display) -> CommandError {
    CommandError::Argument(error.to_string())
}
