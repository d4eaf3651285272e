//! The way of a change: commands, the compiler, the journal, the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::back::is_up;
use super::{Done, Kept, Northbound, NorthboundError, Waited};
use crate::control::elsewhere::put_chassis;
use crate::control::switch::{Published, Switch};
use crate::logical::journal::{Beside, Journal, Recovered};
use crate::logical::nb;
use crate::logical::nb::nbctl::{self, Line};
use crate::logical::nb::tables::LogicalSwitchPort;
use crate::logical::northd::{Compiler, Keys, keys};
use crate::logical::rows::tables::{DatapathBinding, PortBinding};
use crate::logical::rows::{self, Table, Transaction, Uuid};

/// Commands that are run at once, and rows that are compiled so; more of them on another thread, while others go on.
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
    pub async fn nbctl(self: &Rc<Self>, line: Line) -> Result<Done, NorthboundError> {
        let began = Instant::now();
        let millis = || i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let turn = self.following_turn().await;
        let taken_up = millis();
        let (draft, southbound) = {
            let logical = &self.state().logical;
            (logical.northbound.rows.draft(), logical.rows.snapshot().clone())
        };
        let options = line.options;
        let is_long = line.len() > STRETCH;
        let run = move || run(&line, &southbound, draft);
        let ran = if is_long { tokio::task::spawn_blocking(run).await? } else { run() };
        let Ran { draft, changed, created, printed } = ran?;
        if options.dry_run || changed.is_empty() {
            return Ok(Done { printed, changed: 0, published: None, waited: None });
        }
        let before = number(draft.rows());
        let nb_cfg = number(changed.after()).filter(|number| before != Some(*number));
        let count = changed.rows().count();
        self.enter(draft, changed, created, Keep::Yes).await?;
        let compiled = millis();
        drop(turn);
        let published = self.follow().await?;
        let in_force = millis();
        self.checkpoint();
        let waited = nb_cfg.map(|nb_cfg| Waited { nb_cfg, taken_up, compiled, in_force });
        Ok(Done { printed, changed: count, published: Some(published), waited })
    }

    /// Puts other rows in the place of all, and says how many are not as before.
    pub async fn replace_northbound(
        self: &Rc<Self>,
        mut rows: Vec<(Uuid, nb::AnyRow)>,
    ) -> Result<(usize, Published), NorthboundError> {
        let turn = self.following_turn().await;
        let (draft, southbound) = {
            let logical = &self.state().logical;
            (logical.northbound.rows.draft(), logical.rows.snapshot().clone())
        };
        let prepare = move || {
            for (_, row) in &mut rows {
                if let nb::AnyRow::LogicalSwitchPort(row) = row {
                    let up = Some(is_up(row, &southbound));
                    if row.up != up {
                        Arc::make_mut(row).up = up;
                    }
                }
            }
            (draft.replace(rows), draft)
        };
        let (prepared, draft) = tokio::task::spawn_blocking(prepare).await?;
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
        let (compiler, keys, southbound) = {
            let logical = &mut self.state_mut().logical;
            let compiler = logical.northbound.compiler.take();
            let keys = compiler.is_none().then(|| logical.northbound.keys(logical.rows.snapshot()));
            (compiler, keys, logical.rows.draft())
        };
        let (began, is_anew) = (Instant::now(), compiler.is_none());
        let compile = move |changed: nb::Changed| {
            let compiled = match compiler {
                Some(compiler) => Compiled::of(compiler, &draft.delta(&changed), created, southbound),
                None => {
                    let compiler = Box::new(Compiler::new(Keys::remembering(keys.unwrap_or_default())));
                    Compiled::of_all(compiler, &changed.from_nothing(), created, southbound)
                }
            };
            // Which may be the last to hold the rows as they were.
            drop(draft);
            (compiled, changed)
        };
        let is_large = is_anew || changed.rows().nth(STRETCH).is_some();
        let (compiled, changed) = if is_large {
            tokio::task::spawn_blocking(move || compile(changed)).await?
        } else {
            compile(changed)
        };
        // From here on the compiler knows of a change that may not take place: it is given back at the end.
        let Compiled { compiler, southbound, keys, created } = compiled;
        let southbound = southbound.map_err(NorthboundError::Uncompiled)?;
        let compiled = began.elapsed();
        let changed = match keep {
            Keep::Yes => self.keep(changed, created, keys).await?,
            Keep::No => changed,
        };
        let kept = began.elapsed();
        let logical = &mut self.state_mut().logical;
        let rows = southbound.rows().count();
        tracing::debug!(rows, units = compiler.looked_at(), ?compiled, ?kept, "Northbound changed");
        // Nobody else changes either while this has both turns.
        if logical.northbound.rows.accept(changed).is_none() || logical.rows.accept(southbound).is_none() {
            return Err(NorthboundError::OutOfTurn);
        }
        logical.northbound.compiler = Some(compiler);
        Ok(())
    }

    /// Compiles all rows anew, and enters what they are compiled to. The caller has both turns.
    pub(super) async fn compile_all(&self, keys: Keys, created: Vec<Uuid>) -> Result<(), NorthboundError> {
        let (rows, southbound) = {
            let logical = &self.state().logical;
            (logical.northbound.rows.draft(), logical.rows.draft())
        };
        let compile = move || {
            Compiled::of_all(Box::new(Compiler::new(keys)), &rows.from_nothing(), created, southbound)
        };
        let Compiled { compiler, southbound, .. } = tokio::task::spawn_blocking(compile).await?;
        let southbound = southbound.map_err(NorthboundError::Uncompiled)?;
        let logical = &mut self.state_mut().logical;
        if logical.rows.accept(southbound).is_none() {
            return Err(NorthboundError::OutOfTurn);
        }
        logical.northbound.compiler = Some(compiler);
        Ok(())
    }

    /// Writes a change down. It comes back once it is kept.
    async fn keep(
        &self,
        changed: nb::Changed,
        created: Vec<Uuid>,
        keys: Vec<(Uuid, Option<u32>)>,
    ) -> Result<nb::Changed, NorthboundError> {
        let (store, folder) = {
            let northbound = &mut self.state_mut().logical.northbound;
            let Some(folder) = northbound.settings.folder.clone() else { return Ok(changed) };
            (std::mem::replace(&mut northbound.store, Kept::Away), folder)
        };
        let write = move || {
            let mut journal = match store {
                Kept::Open(journal) => journal,
                Kept::Away => return (Kept::Away, Err(NorthboundError::Lost)),
                Kept::NotYet => match Journal::open(&folder) {
                    Ok((journal, Recovered { database, .. })) if database.snapshot().is_empty() => journal,
                    Ok(_) => return (Kept::NotYet, Err(NorthboundError::Meanwhile(folder))),
                    Err(error) => return (Kept::NotYet, Err(error.into())),
                },
            };
            let beside = Beside { created: &created, keys: &keys };
            let written = journal.append(changed.rows(), beside);
            (Kept::Open(journal), written.map(|()| changed).map_err(NorthboundError::from))
        };
        let (store, written) = tokio::task::spawn_blocking(write).await?;
        self.state_mut().logical.northbound.store = store;
        written
    }

    /// Writes all rows anew, in the background, if what was written is long beside them.
    pub(super) fn checkpoint(self: &Rc<Self>) {
        let is_due = |store: &Kept| matches!(store, Kept::Open(journal) if journal.wants_checkpoint());
        if !is_due(&self.state().logical.northbound.store) {
            return;
        }
        let switch = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let _turn = switch.following_turn().await;
            let (store, rows) = {
                let northbound = &mut switch.state_mut().logical.northbound;
                let rows = northbound.rows.snapshot().clone();
                (std::mem::replace(&mut northbound.store, Kept::Away), rows)
            };
            let write = move || {
                let mut store = store;
                if let Kept::Open(journal) = &mut store
                    && let Err(error) = journal.checkpoint(&rows)
                {
                    tracing::warn!("the Northbound could not be written anew: {error}");
                }
                store
            };
            if let Ok(store) = tokio::task::spawn_blocking(write).await {
                switch.state_mut().logical.northbound.store = store;
            }
        });
    }

    /// Sees to it that the rows know this chassis and the others. The caller has both turns.
    pub(in crate::control) fn register(&self) {
        let mut state = self.state_mut();
        let has_checksums = state.overlay.settings().is_none_or(|settings| settings.checksum);
        let logical = &mut state.logical;
        let settings = &logical.northbound.settings;
        let name = settings.system_id.clone();
        let mut edit = logical.rows.draft().edit();
        if edit.rows().chassis(&name).is_none() {
            let encap = ("geneve".to_owned(), settings.encap_ip.to_string());
            put_chassis(&mut edit, &name, &settings.hostname, &[encap], has_checksums);
        }
        logical.bound.elsewhere.register(&mut edit);
        let transaction = edit.transaction();
        if !transaction.is_empty()
            && let Err(refusal) = logical.rows.commit(transaction)
        {
            tracing::error!(%refusal, "the chassis could not be registered");
        }
        logical.chassis = Some(name);
    }
}

/// The number of the configuration.
fn number(rows: &nb::Store) -> Option<i64> {
    rows.global().map(|(_, row)| row.nb_cfg)
}

/// A command line that was run.
struct Ran {
    draft: nb::Draft,
    changed: nb::Changed,
    created: Vec<Uuid>,
    printed: String,
}

fn run(line: &Line, southbound: &rows::Store, draft: nb::Draft) -> Result<Ran, NorthboundError> {
    let nbctl::Done { mut edit, created, printed } = line.run(draft.edit())?;
    // What of a port is not for a command to say.
    let ports: Vec<Uuid> = edit
        .transaction()
        .rows()
        .filter(|(table, ..)| *table == nb::Table::LogicalSwitchPort)
        .filter(|(.., row)| row.is_some())
        .map(|(_, uuid, _)| uuid)
        .collect();
    for uuid in ports {
        edit.update(uuid, |row: &mut LogicalSwitchPort| {
            row.up = Some(is_up(row, southbound));
            // As ovn-northd fills it in, but for 0, which asks for any.
            row.tag = row.tag_request.filter(|tag| *tag != 0).or(row.tag);
        });
    }
    let changed = draft.finish(edit).map_err(NorthboundError::Refusal)?;
    Ok(Ran { draft, changed, created, printed })
}

impl Northbound {
    /// The keys that were given, as far as they are known.
    fn keys(&self, southbound: &rows::Store) -> BTreeMap<Uuid, u32> {
        if let Kept::Open(journal) = &self.store {
            return journal.keys().clone();
        }
        let datapaths = southbound.iter::<DatapathBinding>().map(|(uuid, row)| (uuid, row.tunnel_key));
        let ports = southbound.iter::<PortBinding>().map(|(uuid, row)| (uuid, row.tunnel_key.into()));
        datapaths.chain(ports).collect()
    }
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
