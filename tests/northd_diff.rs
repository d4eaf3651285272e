//! Our commands and compiler beside the real `ovn-nbctl` and `ovn-northd` 23.03: the same command lines, then the same
//! Southbound rows, tunnel keys among them.
//!
//! A case is a file of command lines with what the real ones made of them. Those of `tests/data/ovn/northd` are recorded;
//! `scripts/northd-diff` makes others, in the folder that `MILLRACE_NORTHD_CASES` names. Its lines are
//!
//! ```text
//! $ COMMAND…      a command line that does what it says
//! ! COMMAND…      one that is refused
//! % add NAME      a chassis comes
//! % del NAME      and goes
//! = FILE          here the rows are compared, with a dump
//! @               here they are compared with the rows of before, and with the lines behind it:
//! - ROW           this one is gone
//! + ROW           this one is new
//! ```
//!
//! With `MILLRACE_NORTHD_RECORD` a case with dumps is written there as one without.

mod northd_diff {
    pub mod rows;
}

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{env, fs, thread};

use millrace::logical::nb;
use millrace::logical::nb::nbctl::{Done, Line, Wait};
use millrace::logical::northd::{Compiler, Keys};
use millrace::logical::rows::tables::{Chassis, Encap};
use millrace::logical::rows::{AnyRow, Database, Store, Table, Transaction, Uuid, dump};
use northd_diff::rows::lines;

/// Most lines of a difference that are shown.
const SHOWN: usize = 12;
/// Most command lines that are shown with it.
const LAST: usize = 10;

/// Both databases, and what keeps them together.
struct Network {
    northbound: nb::Database,
    southbound: Database,
    compiler: Compiler,
    cursor: nb::Cursor,
}

impl Network {
    fn new(keys: Keys) -> Self {
        let northbound = nb::Database::default();
        let cursor = northbound.subscribe_from_nothing();
        Self { northbound, southbound: Database::default(), compiler: Compiler::new(keys), cursor }
    }

    /// Does a command line wholly or not at all.
    fn run(&mut self, words: &str) -> Result<(), String> {
        let mut line = Line::parse(&shell_words(words)).map_err(|error| error.to_string())?;
        line.options.wait = Wait::Southbound;
        let draft = self.northbound.draft();
        let Done { edit, created, .. } = line.run(draft.edit()).map_err(|error| error.to_string())?;
        let changed = draft.finish(edit).map_err(|error| error.to_string())?;
        self.northbound.accept(changed).ok_or("another commit came between")?;
        self.compile(&created)
    }

    fn compile(&mut self, created: &[Uuid]) -> Result<(), String> {
        let delta = self.cursor.poll(&self.northbound);
        let rows = self.compiler.update(&delta, created, self.southbound.snapshot());
        self.southbound
            .commit(rows)
            .map(drop)
            .map_err(|error| format!("what is compiled is refused: {error}"))
    }

    fn chassis(&mut self, what: &str, name: &str) {
        let number = name.bytes().fold(1u128, |sum, byte| sum * 256 + u128::from(byte));
        let [uuid, encap] = [1, 2].map(|kind| Uuid(number << 4 | kind));
        let mut rows = Transaction::new();
        if what == "add" {
            rows.put(encap, Encap { kind: "geneve".to_owned(), ip: name.to_owned(), ..Default::default() });
            rows.put(uuid, Chassis { name: name.to_owned(), encaps: [encap].into(), ..Default::default() });
        } else {
            rows.delete(Table::Chassis, uuid);
        }
        self.southbound.commit(rows).unwrap();
        let follow = self.compiler.chassis(self.southbound.snapshot());
        self.southbound.commit(follow).unwrap();
    }

    /// What a compiler with the same keys makes of the same rows from nothing.
    fn anew(&self) -> Self {
        let mut anew = Self::new(self.compiler.keys().clone());
        let mut rows = Transaction::new();
        for table in [Table::Chassis, Table::Encap] {
            for (uuid, row) in self.southbound.snapshot().rows(table) {
                rows.put_any(uuid, row.clone());
            }
        }
        anew.southbound.commit(rows).unwrap();
        let mut rows = nb::Transaction::new();
        for table in nb::Table::ALL {
            for (uuid, row) in self.northbound.snapshot().rows(*table) {
                rows.put_any(uuid, row.clone());
            }
        }
        anew.northbound.commit(rows).unwrap();
        anew.compile(&[]).unwrap();
        anew
    }
}

/// The words of a command line as a shell reads them.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(end), letter) if letter == end => quote = None,
            (Some('"'), '\\') => word.get_or_insert_default().extend(letters.next()),
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

fn rows(store: &Store) -> BTreeMap<(Table, Uuid), AnyRow> {
    let tables = Table::ALL.iter();
    tables.flat_map(|table| store.rows(*table).map(|(uuid, row)| ((*table, uuid), row.clone()))).collect()
}

/// The rows of a dump.
fn read_dump(path: &Path) -> Store {
    let text = fs::read_to_string(path).unwrap();
    let mut database = Database::default();
    let rows = dump::read(&text).unwrap();
    database.commit(Transaction::replacing(database.snapshot(), rows)).unwrap();
    database.snapshot().clone()
}

/// Lines that one of two lists has and the other has not, as often as it has more of them.
fn less(list: &[String], other: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    other.iter().for_each(|line| *counts.entry(line).or_default() += 1);
    let mut extra = Vec::new();
    for line in list {
        match counts.get_mut(line.as_str()) {
            Some(count) if *count > 0 => *count -= 1,
            _ => extra.push(line.clone()),
        }
    }
    extra
}

/// What a case is doing.
struct Run<'a> {
    path: &'a Path,
    network: Network,
    /// What the real ones have.
    expected: Vec<String>,
    last: Vec<&'a str>,
    /// The case without dumps.
    record: String,
    compared: usize,
    flows: usize,
}

impl<'a> Run<'a> {
    fn new(path: &'a Path) -> Self {
        let network = Network::new(Keys::default());
        let (expected, last, record) = (Vec::new(), Vec::new(), String::new());
        Self { path, network, expected, last, record, compared: 0, flows: 0 }
    }

    fn all(&mut self, text: &'a str) -> Result<(), String> {
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if !line.starts_with(['=', '@']) {
                let _ = writeln!(self.record, "{line}");
            }
            let (kind, words) = line.split_at_checked(2).unwrap_or((line, ""));
            match kind.trim() {
                "$" => {
                    self.last.push(line);
                    self.network.run(words).map_err(|error| self.told(&format!("is refused: {error}")))?;
                }
                "!" => {
                    self.last.push(line);
                    if self.network.run(words).is_ok() {
                        return Err(self.told("is not refused"));
                    }
                }
                "%" => {
                    self.last.push(line);
                    let (what, name) = words.split_once(' ').unwrap();
                    self.network.chassis(what, name);
                }
                "=" => {
                    let real = lines_of_dump(&self.path.with_file_name(words));
                    self.note(&real);
                    self.expected = real;
                    self.compare()?;
                }
                "@" => {
                    while let Some(line) = lines.next_if(|line| line.starts_with(['+', '-'])) {
                        let row = line[2..].to_owned();
                        if line.starts_with('+') {
                            self.expected.push(row);
                        } else if let Some(at) = self.expected.iter().position(|one| *one == row) {
                            self.expected.swap_remove(at);
                        }
                    }
                    self.compare()?;
                }
                _ => {}
            }
        }
        let (now, anew) = (&self.network, self.network.anew());
        let (now, anew) = (rows(now.southbound.snapshot()), rows(anew.southbound.snapshot()));
        let differing = now.keys().chain(anew.keys()).find(|name| now.get(name) != anew.get(name));
        match differing {
            Some(name) => Err(self.told(&format!(
                "at the end this is not what is compiled from nothing:\n    {:?}\n    {:?}",
                now.get(name),
                anew.get(name)
            ))),
            None => Ok(()),
        }
    }

    /// Writes down what changed.
    fn note(&mut self, real: &[String]) {
        self.record += "@\n";
        for (sign, lines) in [('-', less(&self.expected, real)), ('+', less(real, &self.expected))] {
            for line in lines {
                let _ = writeln!(self.record, "{sign} {line}");
            }
        }
    }

    fn compare(&mut self) -> Result<(), String> {
        let ours = lines(self.network.southbound.snapshot());
        self.compared += 1;
        self.flows += ours.iter().filter(|line| line.starts_with('l')).count();
        let (lacking, excess) = (less(&self.expected, &ours), less(&ours, &self.expected));
        if lacking.is_empty() && excess.is_empty() {
            self.last.clear();
            return Ok(());
        }
        let mut told = format!("{} lines are not there, {} are instead\n", lacking.len(), excess.len());
        for (sign, lines) in [('-', lacking), ('+', excess)] {
            for line in lines.iter().take(SHOWN) {
                let _ = writeln!(told, "    {sign} {line}");
            }
        }
        Err(self.told(&told))
    }

    /// A difference, with the command lines before it.
    fn told(&self, what: &str) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let from = self.last.len().saturating_sub(LAST);
        let lines: String = self.last[from..].iter().map(|line| format!("    {line}\n")).collect();
        format!("{name}: after\n{lines}  {what}")
    }
}

fn lines_of_dump(path: &Path) -> Vec<String> {
    lines(&read_dump(path))
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = all.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    paths
}

#[test]
fn the_same_commands_make_the_same_rows() {
    let recorded = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovn/northd");
    let folder = env::var_os("MILLRACE_NORTHD_CASES").map_or_else(recorded, PathBuf::from);
    let record = env::var_os("MILLRACE_NORTHD_RECORD").map(PathBuf::from);
    let cases = cases(&folder);
    let left = Mutex::new(cases.iter());
    let bad = Mutex::new(Vec::new());
    let sums = Mutex::new((0, 0));
    let work = || {
        while let Some(path) = { left.lock().unwrap().next() } {
            let text = fs::read_to_string(path).unwrap();
            let mut run = Run::new(path);
            if let Err(told) = run.all(&text) {
                bad.lock().unwrap().push(told);
            } else if let Some(folder) = &record {
                fs::write(folder.join(path.file_name().unwrap()), &run.record).unwrap();
            }
            let mut sums = sums.lock().unwrap();
            *sums = (sums.0 + run.compared, sums.1 + run.flows);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut bad = bad.into_inner().unwrap();
    bad.sort();
    let (compared, flows) = sums.into_inner().unwrap();
    println!("{} cases, {compared} comparisons, {flows} flows, {} differences", cases.len(), bad.len());
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(!cases.is_empty() && compared >= cases.len(), "nothing was compared");
}
