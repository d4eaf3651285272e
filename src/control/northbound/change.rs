//! The way of a change: commands, the compiler, the journal, the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Instant;

use super::{Done, NorthboundError, Waited};
use crate::control::switch::{Published, Switch};
use crate::logical::journal::{Beside, Journal, Recovered};
use crate::logical::nb;
use crate::logical::nb::nbctl::Line;
use crate::logical::nb::tables::LogicalSwitchPort;
use crate::logical::northd::{Compiler, Keys, keys, names};
use crate::logical::rows::tables::{Chassis, DatapathBinding, Encap, PortBinding};
use crate::logical::rows::{self, Table, Transaction, Uuid};

/// Rows that are compiled at once; more of them on another thread, while other commands go on.
const STRETCH: usize = 64;

/// Tables of which the compiler makes no rows, but this chassis.
const NOT_COMPILED: &[Table] =
    &[Table::Chassis, Table::ChassisPrivate, Table::Encap, Table::MacBinding, Table::Fdb];

/// Whether a change is to be there after the next start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// It is.
    Yes,
    /// It is made anew then.
    No,
}

impl Switch {
    /// Does a command line, and waits until packets meet what it changes.
    pub async fn nbctl(self: &Rc<Self>, line: &Line) -> Result<Done, NorthboundError> {
        let began = Instant::now();
        let millis = || i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let turn = self.following_turn().await;
        let taken_up = millis();
        let draft = self.state().logical.northbound.rows.draft();
        let mut done = line.run(draft.edit())?;
        for uuid in &done.created {
            // What a port is at first, which the Northbound would be told of at once.
            done.edit.update(*uuid, |row: &mut LogicalSwitchPort| row.up = Some(row.kind == "router"));
        }
        let before = number(draft.rows());
        let changed = draft.finish(done.edit).map_err(NorthboundError::Refusal)?;
        if line.options.dry_run || changed.is_empty() {
            return Ok(Done { printed: done.printed, changed: 0, published: None, waited: None });
        }
        let nb_cfg = number(changed.after()).filter(|number| before != Some(*number));
        let count = changed.rows().count();
        self.enter(draft, changed, done.created, Keep::Yes).await?;
        let compiled = millis();
        drop(turn);
        let published = self.follow().await?;
        let in_force = millis();
        self.checkpoint();
        let waited = nb_cfg.map(|nb_cfg| Waited { nb_cfg, taken_up, compiled, in_force });
        Ok(Done { printed: done.printed, changed: count, published: Some(published), waited })
    }

    /// Puts other rows in the place of all, and says how many there are then and how many are not as before.
    pub async fn replace_northbound(
        self: &Rc<Self>,
        rows: Vec<(Uuid, nb::AnyRow)>,
    ) -> Result<(usize, Published), NorthboundError> {
        let turn = self.following_turn().await;
        let draft = self.state().logical.northbound.rows.draft();
        let prepared = tokio::task::spawn_blocking(move || (draft.replace(rows), draft));
        let (prepared, draft) = prepared.await?;
        let changed = nb::Changed::from(prepared.map_err(NorthboundError::Refusal)?);
        let count = changed.rows().count();
        if count > 0 {
            self.enter(draft, changed, Vec::new(), Keep::Yes).await?;
        }
        drop(turn);
        let published = self.follow().await?;
        self.checkpoint();
        Ok((count, published))
    }

    /// Compiles a change, keeps it, and enters it and what it was compiled to. The caller has the turn to make flows.
    pub(super) async fn enter(
        &self,
        draft: nb::Draft,
        changed: nb::Changed,
        created: Vec<Uuid>,
        keep: Keep,
    ) -> Result<(), NorthboundError> {
        if self.state().logical.is_loaded {
            return Err(NorthboundError::Loaded);
        }
        let _turn = self.compiling_turn().await;
        self.register();
        if self.state().logical.northbound.compiler.is_none() {
            let keys = Keys::remembering(keys_of(self.state().logical.rows.snapshot()));
            self.compile_all(keys, Vec::new()).await?;
        }
        let Some(compiler) = self.state_mut().logical.northbound.compiler.take() else { return Ok(()) };
        let southbound = self.state().logical.rows.draft();
        let delta = draft.delta(&changed);
        let (large, began) = (delta.changes.len() > STRETCH, Instant::now());
        let compile = move || Compiled::of(compiler, &delta, created, southbound);
        let compiled = if large { tokio::task::spawn_blocking(compile).await? } else { compile() };
        // From here on the compiler knows of a change that may not take place: it is given back at the end.
        let Compiled { compiler, southbound, keys, created } = compiled;
        let southbound = southbound.map_err(NorthboundError::Uncompiled)?;
        let compiled = began.elapsed();
        let changed = match keep {
            Keep::Yes => self.keep(changed, created, keys).await?,
            Keep::No => changed,
        };
        let kept = began.elapsed();
        let mut state = self.state_mut();
        let logical = &mut state.logical;
        let rows = southbound.rows().count();
        let entered = (logical.northbound.rows.accept(changed), logical.rows.accept(southbound));
        tracing::debug!(rows, units = compiler.looked_at(), ?compiled, ?kept, "Northbound changed");
        if let (Some(_), Some(_)) = entered {
            logical.northbound.compiler = Some(compiler);
        } else {
            tracing::error!("rows were changed out of turn; they are compiled anew with the next change");
        }
        Ok(())
    }

    /// Compiles all rows anew, and enters what they are compiled to. The caller has both turns.
    pub(super) async fn compile_all(&self, keys: Keys, created: Vec<Uuid>) -> Result<(), NorthboundError> {
        let (delta, southbound) = {
            let logical = &self.state().logical;
            let rows = &logical.northbound.rows;
            (rows.subscribe_from_nothing().poll(rows), logical.rows.draft())
        };
        let compiler = Box::new(Compiler::new(keys));
        let compile = move || Compiled::of_all(compiler, &delta, created, southbound);
        let Compiled { compiler, southbound, .. } = tokio::task::spawn_blocking(compile).await?;
        let southbound = southbound.map_err(NorthboundError::Uncompiled)?;
        let logical = &mut self.state_mut().logical;
        if logical.rows.accept(southbound).is_some() {
            logical.northbound.compiler = Some(compiler);
        }
        Ok(())
    }

    /// Writes a change down. It comes back once it is kept.
    async fn keep(
        &self,
        changed: nb::Changed,
        created: Vec<Uuid>,
        keys: Vec<(Uuid, Option<u32>)>,
    ) -> Result<nb::Changed, NorthboundError> {
        let (journal, folder) = {
            let northbound = &mut self.state_mut().logical.northbound;
            (northbound.journal.take(), northbound.settings.folder.clone())
        };
        let Some(folder) = folder else { return Ok(changed) };
        let write = move || {
            let mut journal = match journal {
                Some(journal) => journal,
                None => match Journal::open(&folder)? {
                    (journal, Recovered { database, .. }) if database.snapshot().is_empty() => journal,
                    _ => return Err(NorthboundError::Meanwhile(folder)),
                },
            };
            let beside = Beside { created: &created, keys: &keys };
            let written = journal.append(changed.rows(), beside);
            Ok((journal, written.map(|()| changed)))
        };
        let (journal, written) = tokio::task::spawn_blocking(write).await??;
        self.state_mut().logical.northbound.journal = Some(journal);
        Ok(written?)
    }

    /// Writes all rows anew, in the background, if what was written is long beside them.
    pub(super) fn checkpoint(self: &Rc<Self>) {
        let is_due = |journal: &Journal<nb::Table>| journal.wants_checkpoint();
        if !self.state().logical.northbound.journal.as_ref().is_some_and(is_due) {
            return;
        }
        let switch = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let _turn = switch.following_turn().await;
            let (journal, rows) = {
                let northbound = &mut switch.state_mut().logical.northbound;
                (northbound.journal.take(), northbound.rows.snapshot().clone())
            };
            let Some(mut journal) = journal else { return };
            let write = move || {
                if let Err(error) = journal.checkpoint(&rows) {
                    tracing::warn!("the Northbound could not be written anew: {error}");
                }
                journal
            };
            if let Ok(journal) = tokio::task::spawn_blocking(write).await {
                switch.state_mut().logical.northbound.journal = Some(journal);
            }
        });
    }

    /// Sees to it that the rows know this chassis.
    pub(super) fn register(&self) {
        let logical = &mut self.state_mut().logical;
        let settings = &logical.northbound.settings;
        let name = settings.system_id.clone();
        if logical.rows.snapshot().chassis(&name).is_none() {
            let encap = names::southbound(Table::Encap, &name);
            let mut transaction = Transaction::new();
            transaction.put(
                encap,
                Encap {
                    chassis_name: name.clone(),
                    ip: settings.encap_ip.to_string(),
                    options: BTreeMap::from([("csum".to_owned(), "true".to_owned())]),
                    kind: "geneve".to_owned(),
                },
            );
            transaction.put(
                names::southbound(Table::Chassis, &name),
                Chassis {
                    encaps: BTreeSet::from([encap]),
                    hostname: settings.hostname.clone(),
                    name: name.clone(),
                    ..Chassis::default()
                },
            );
            if let Err(refusal) = logical.rows.commit(transaction) {
                tracing::error!(%refusal, "this chassis could not be registered");
            }
        }
        logical.chassis = Some(name);
    }
}

/// The number of the configuration.
fn number(rows: &nb::Store) -> Option<i64> {
    rows.global().map(|(_, row)| row.nb_cfg)
}

/// The keys that rows have.
fn keys_of(rows: &rows::Store) -> BTreeMap<Uuid, u32> {
    let datapaths = rows.iter::<DatapathBinding>().map(|(uuid, row)| (uuid, row.tunnel_key));
    datapaths.chain(rows.iter::<PortBinding>().map(|(uuid, row)| (uuid, row.tunnel_key.into()))).collect()
}

/// What a change was compiled to.
struct Compiled {
    compiler: Box<Compiler>,
    southbound: Result<rows::Changed, rows::Refusal>,
    keys: Vec<(Uuid, Option<u32>)>,
    created: Vec<Uuid>,
}

impl Compiled {
    fn of(
        mut compiler: Box<Compiler>,
        delta: &nb::Delta,
        created: Vec<Uuid>,
        southbound: rows::Draft,
    ) -> Self {
        let transaction = compiler.update(delta, &created, southbound.rows());
        Self::prepared(compiler, transaction, created, southbound)
    }

    /// The same for all rows: what else there is of compiled rows goes.
    fn of_all(
        mut compiler: Box<Compiler>,
        delta: &nb::Delta,
        created: Vec<Uuid>,
        southbound: rows::Draft,
    ) -> Self {
        let mut transaction = compiler.update(delta, &created, southbound.rows());
        let wanted: BTreeSet<(Table, Uuid)> =
            transaction.rows().map(|(table, uuid, _)| (table, uuid)).collect();
        for table in Table::ALL.iter().filter(|table| !NOT_COMPILED.contains(table)) {
            for (uuid, _) in southbound.rows().rows(*table) {
                if !wanted.contains(&(*table, uuid)) {
                    transaction.delete(*table, uuid);
                }
            }
        }
        Self::prepared(compiler, transaction, created, southbound)
    }

    fn prepared(
        compiler: Box<Compiler>,
        transaction: Transaction,
        created: Vec<Uuid>,
        draft: rows::Draft,
    ) -> Self {
        let southbound = draft.change(transaction);
        let keys =
            southbound.as_ref().map_or_else(|_| Vec::new(), |changed| keys::given(&draft.delta(changed)));
        Self { compiler, southbound, keys, created }
    }
}
