//! What the switch starts with: what was kept, or else a topology.

use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use super::{Kept, NorthboundError, StartError};
use crate::config::Ovn;
use crate::control::switch::Switch;
use crate::logical::journal::{Journal, JournalError, Recovered};
use crate::logical::nb;
use crate::logical::nb::nbctl::Line;
use crate::logical::northd::Keys;

/// Whether the topology of a configuration can be read.
pub fn check(config: &Ovn) -> Result<(), StartError> {
    config.topology.as_deref().map_or(Ok(()), |path| read_topology(path).map(drop))
}

fn read_topology(path: &Path) -> Result<Line, StartError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| StartError::Unreadable { path: path.to_owned(), source })?;
    Line::script(&text).map_err(|source| StartError::Script { path: path.to_owned(), source })
}

impl Switch {
    /// Compiles what was kept, and the topology of the configuration if nothing was. Packets meet it when this returns.
    pub async fn start_northbound(self: &Rc<Self>, config: &Ovn) -> Result<(), StartError> {
        // Read in any case, so that a mistake in it is not found by the switch's next host.
        let topology = config
            .topology
            .as_deref()
            .map(|path| Ok::<_, StartError>((path, read_topology(path)?)))
            .transpose()?;
        self.meet_others().await?;
        self.recover().await?;
        let is_empty = self.state().logical.northbound.rows.snapshot().is_empty();
        match topology {
            Some((path, line)) if is_empty => {
                let done = self.nbctl(line).await;
                let done = done.map_err(|source| StartError::Topology {
                    path: path.to_owned(),
                    source: Box::new(source),
                })?;
                tracing::info!(topology = %path.display(), rows = done.changed, "topology applied");
            }
            Some((path, _)) => tracing::info!(
                "topology {} is not applied, since there is a Northbound already; `millrace nbctl load` replaces it",
                path.display()
            ),
            None => {}
        }
        Ok(())
    }

    /// Sees to it that the rows know the other chassis of the configuration, whether there are networks yet or not.
    async fn meet_others(&self) -> Result<(), StartError> {
        let turn = self.following_turn().await;
        let compiling = self.compiling_turn().await;
        {
            let logical = &self.state().logical;
            let own = &logical.northbound.settings.system_id;
            if logical.bound.elsewhere.has(own) {
                return Err(StartError::Itself(own.clone()));
            }
            if logical.bound.elsewhere.is_empty() {
                return Ok(());
            }
        }
        self.register();
        drop((compiling, turn));
        self.follow().await.map_err(NorthboundError::from)?;
        Ok(())
    }

    /// Reads what was kept. Where nothing was, nothing is made before there is something to keep.
    async fn recover(self: &Rc<Self>) -> Result<(), StartError> {
        let began = Instant::now();
        let folder = self.state().logical.northbound.settings.folder.clone();
        let Some(folder) = folder else { return Ok(()) };
        let place = folder.clone();
        let read = move || {
            let is_there = Journal::<nb::Table>::is_in(&place)?;
            is_there.then(|| Journal::open(&place)).transpose()
        };
        let found: Result<_, JournalError> =
            tokio::task::spawn_blocking(read).await.map_err(NorthboundError::from)?;
        let found = found.map_err(|error| StartError::Journal(Box::new(error)))?;
        let Some((journal, Recovered { database, created, keys, records, cut })) = found else {
            return Ok(());
        };
        let took = began.elapsed();
        if cut > 0 {
            tracing::warn!(
                "the last change of the Northbound was cut short by a crash; it was never answered for"
            );
        }
        let rows: usize = nb::Table::ALL.iter().map(|table| database.snapshot().len(*table)).sum();
        let turn = self.following_turn().await;
        let compiling = self.compiling_turn().await;
        {
            let northbound = &mut self.state_mut().logical.northbound;
            (northbound.rows, northbound.store) = (database, Kept::Open(journal));
        }
        if rows > 0 {
            self.register();
            match self.compile_all(Keys::remembering(keys), created).await {
                // What cannot be compiled can still be changed.
                Err(error @ NorthboundError::Uncompiled(_)) => tracing::error!(
                    "the Northbound in {} is not in force: {error}; mend it with `millrace nbctl`",
                    folder.display()
                ),
                done => done?,
            }
        }
        drop((compiling, turn));
        let compiled = began.elapsed();
        self.follow().await.map_err(NorthboundError::from)?;
        tracing::info!(rows, records, ?took, ?compiled, in_force = ?began.elapsed(), "Northbound read");
        self.checkpoint();
        Ok(())
    }
}
