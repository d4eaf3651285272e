//! `millrace sbctl`: the words of `ovn-sbctl`, and dumps.

use clap::{Args, Subcommand};

use super::request::{Request, read_text};
use super::{Failure, Session};
use crate::logical::rows::dump::MAX_DUMP;
use crate::logical::rows::sbctl::Keys;

/// What may stand before a command or behind it.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Layout of rows: list, table, csv or json
    #[arg(short, long, global = true, value_name = "FORMAT")]
    format: Option<String>,

    /// Form of values: string, bare or json
    #[arg(short, long, global = true, value_name = "FORM")]
    data: Option<String>,

    /// Leave the names of columns out
    #[arg(long, global = true)]
    no_headings: bool,

    /// The same as --format=list --data=bare --no-headings; --format and --data count beside it
    #[arg(long, global = true)]
    bare: bool,

    /// Only these columns, in this order
    #[arg(long, global = true, value_name = "COLUMN[,COLUMN]...")]
    columns: Option<String>,

    /// Pass over rows and keys that are not there
    #[arg(long, global = true)]
    if_exists: bool,

    /// Do nothing where what is asked for is so already
    #[arg(long, global = true)]
    may_exist: bool,

    /// Begin each flow with the first 32 bits of its UUID
    #[arg(long, global = true)]
    uuid: bool,
}

#[derive(Debug, Args)]
pub(super) struct SbctlArguments {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: SbctlCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum SbctlCommand {
    /// Put the rows of a dump in the place of all rows
    Load {
        /// What `ovsdb-client --format=json dump SERVER OVN_Southbound` printed; - reads standard input
        file: String,
        /// The chassis that the switch is
        #[arg(long, value_name = "NAME")]
        chassis: Option<String>,
    },
    /// Take out the rows that a dump brought
    Unload,
    /// Name the keys that differ from those of another host; the exit status is 1 if there are any
    Compare {
        /// What `millrace sbctl keys` printed there; - reads standard input
        file: String,
    },
    #[command(flatten)]
    Read(ReadCommand),
    #[command(flatten)]
    Change(ChangeCommand),
}

/// Commands of which several may be joined by `--`.
#[derive(Debug, Subcommand)]
pub(super) enum ChangeCommand {
    /// There is another chassis, which tunnels to an address lead to
    ChassisAdd(Words),
    /// It is there no more
    ChassisDel(Words),
    /// A logical port is on another chassis
    LspBind(Words),
    /// It is there no more
    LspUnbind(Words),
}

#[derive(Debug, Args)]
pub(super) struct Words {
    /// CHASSIS ENCAP-TYPE ENCAP-IP, CHASSIS, PORT CHASSIS or PORT; then perhaps -- and another of these commands
    #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum ReadCommand {
    /// Chassis, their tunnels and their ports
    Show,
    /// Rows that this switch cannot execute, or not wholly, and why
    Troubles,
    /// The tunnel keys, on which hosts have to agree, and their digest
    Keys,
    /// Logical flows
    #[command(visible_alias = "dump-flows")]
    LflowList {
        /// A datapath, then flows; left out: all
        #[arg(value_name = "DATAPATH|LFLOW")]
        words: Vec<String>,
    },
    /// Rows of a table
    List {
        /// Its name, or the beginning of it
        table: String,
        /// Names or UUIDs of rows; left out: all
        #[arg(value_name = "RECORD")]
        records: Vec<String>,
    },
    /// Rows that meet conditions
    Find {
        /// Its name, or the beginning of it
        table: String,
        /// Such as type=patch or external_ids:name=r1
        #[arg(value_name = "COLUMN[:KEY]=VALUE")]
        conditions: Vec<String>,
    },
    /// Values of a row
    Get {
        /// Its name, or the beginning of it
        table: String,
        /// Name or UUID of the row
        record: String,
        /// Such as tunnel_key or external_ids:name
        #[arg(value_name = "COLUMN[:KEY]")]
        values: Vec<String>,
    },
}

impl Options {
    /// Refuses what the command has no use for. The style of rows may always be said, as with the original.
    fn check(&self, command: &str, own: &[&str]) -> Result<(), Failure> {
        let given = [
            ("--columns", self.columns.is_some()),
            ("--if-exists", self.if_exists),
            ("--may-exist", self.may_exist),
            ("--uuid", self.uuid),
        ];
        match given.into_iter().find(|(option, given)| *given && !own.contains(option)) {
            Some((option, _)) => {
                Err(Failure::Usage(format!("{command} has no option {option}; leave it out")))
            }
            None => Ok(()),
        }
    }
}

impl ReadCommand {
    /// Its name, and which options it has beside the style.
    fn form(&self) -> (&'static str, &'static [&'static str]) {
        match self {
            ReadCommand::Show => ("show", &[]),
            ReadCommand::Troubles => ("troubles", &[]),
            ReadCommand::Keys => ("keys", &[]),
            ReadCommand::LflowList { .. } => ("lflow-list", &["--uuid"]),
            ReadCommand::List { .. } => ("list", &["--columns", "--if-exists"]),
            ReadCommand::Find { .. } => ("find", &["--columns"]),
            ReadCommand::Get { .. } => ("get", &["--if-exists"]),
        }
    }
}

/// What is asked of the switch.
pub(super) fn request(options: Options, command: ReadCommand) -> Result<Request, Failure> {
    let (name, own) = command.form();
    options.check(name, own)?;
    let Options { format, data, no_headings, bare, columns, if_exists, uuid, may_exist: _ } = options;
    let named = [("--format", format), ("--data", data), ("--columns", columns)];
    let named = named.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
    // First, so that it does not undo the others.
    let bare = bare.then(|| "--bare".to_owned()).into_iter();
    let flags = [("--no-headings", no_headings), ("--if-exists", if_exists), ("--uuid", uuid)];
    let flags = flags.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned());
    let (method, words) = match command {
        // Not of rows, so that no style makes a difference.
        ReadCommand::Show => return Ok(Request::bare("sbctl/show")),
        ReadCommand::Troubles => return Ok(Request::bare("sbctl/troubles")),
        ReadCommand::Keys => return Ok(Request::bare("sbctl/keys")),
        ReadCommand::LflowList { words } => ("sbctl/lflow-list", words),
        ReadCommand::List { table, records } => ("sbctl/list", [vec![table], records].concat()),
        ReadCommand::Find { table, conditions } => ("sbctl/find", [vec![table], conditions].concat()),
        ReadCommand::Get { table, record, values } => ("sbctl/get", [vec![table, record], values].concat()),
    };
    Ok(Request::with(method, bare.chain(named).chain(flags).chain(words).collect()))
}

/// What is asked of the switch to be changed.
pub(super) fn change(options: &Options, command: ChangeCommand) -> Result<Request, Failure> {
    let (name, own, Words { words }) = match command {
        ChangeCommand::ChassisAdd(words) => ("chassis-add", "--may-exist", words),
        ChangeCommand::ChassisDel(words) => ("chassis-del", "--if-exists", words),
        ChangeCommand::LspBind(words) => ("lsp-bind", "--may-exist", words),
        ChangeCommand::LspUnbind(words) => ("lsp-unbind", "--if-exists", words),
    };
    options.check(name, &[own])?;
    let is_given = options.if_exists || options.may_exist;
    let first = is_given.then_some(own).into_iter().chain([name]).map(str::to_owned);
    Ok(Request::with("sbctl/change", first.chain(words).collect()))
}

fn chassis_word(name: String) -> String {
    format!("--chassis={name}")
}

impl Session<'_, '_> {
    /// Names the keys that another host has otherwise.
    pub(super) fn compare(&mut self, options: &Options, file: &str) -> Result<(), Failure> {
        options.check("compare", &[])?;
        let what = "what `millrace sbctl keys` printed on the other host";
        let text = read_text(file, self.streams.input, what, MAX_DUMP, "give that of one host")?;
        let there = Keys::read(&text).map_err(|bad| Failure::Usage(format!("{file}: {bad}")))?;
        let text = self.connect()?.call::<&str>("sbctl/keys", &[])?;
        let here =
            Keys::read(&text).map_err(|bad| Failure::Usage(format!("the answer of the switch: {bad}")))?;
        let differences = here.differences(&there);
        if self.json {
            self.print(&serde_json::json!({ "keys": here.len(), "differences": differences }).to_string())?;
        } else if differences.is_empty() {
            self.print(&format!("all {} keys are equal: {}", here.len(), here.short()))?;
        } else {
            self.print(&differences.iter().map(|difference| format!("{difference}\n")).collect::<String>())?;
        }
        if differences.is_empty() { Ok(()) } else { Err(Failure::Keys(differences.len())) }
    }

    /// Sends a dump, and prints what the switch says of the whole.
    pub(super) fn load(
        &mut self,
        options: &Options,
        file: &str,
        chassis: Option<String>,
    ) -> Result<(), Failure> {
        options.check("load", &[])?;
        let what = "a dump as `ovsdb-client --format=json dump` writes it";
        let mend = "leave out tables that a chassis does not read";
        let text = read_text(file, self.streams.input, what, MAX_DUMP, mend)?;
        self.upload("sbctl/load", &text, chassis.map(chassis_word).into_iter().collect())
    }
}
