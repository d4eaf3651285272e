//! What the real ovn-trace 23.03.1 printed for three topologies (tests/data/ovn), line by line, in its three forms.
//!
//! The rows are those the real tool read, so uuids and source hints agree too.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use millrace::logical::rows::{Database, Transaction, dump};
use millrace::logical::trace::{self, Request};

const SCENARIOS: [&str; 3] = ["s1-l2", "s2-l3", "s3-rich"];
const FORMS: [&str; 3] = ["detailed", "summary", "minimal"];
/// Here ovn-trace aborts, and all that was recorded is how.
const ABORTED: [&str; 2] = ["web1-rs", "web1-ns-gw"];

/// One line of `traces.list`.
struct Question {
    name: String,
    words: Vec<String>,
}

fn folder(scenario: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovn").join(scenario)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn load(scenario: &str) -> Database {
    let rows = dump::read(&read(&folder(scenario).join("sb-dump.json"))).expect("a dump");
    let mut database = Database::default();
    let transaction = Transaction::replacing(database.snapshot(), rows);
    database.commit(transaction).expect("consistent rows");
    database
}

fn questions(scenario: &str) -> Vec<Question> {
    let list = read(&folder(scenario).join("traces.list"));
    list.lines()
        .map(|line| {
            let parts: Vec<&str> = line.splitn(4, '|').collect();
            let [name, options, datapath, microflow] = parts[..] else { panic!("{line}") };
            let words = options.split_whitespace().chain([datapath, microflow]).map(str::to_owned).collect();
            Question { name: name.to_owned(), words }
        })
        .collect()
}

fn ask(database: &Database, question: &Question, form: &str) -> String {
    let option = format!("--{form}");
    let words: Vec<&str> =
        [option.as_str()].into_iter().chain(question.words.iter().map(String::as_str)).collect();
    let request = Request::parse(&words).expect("words as ovn-trace takes them");
    trace::run(database.snapshot(), &request).unwrap_or_else(|error| format!("{error}\n"))
}

/// What was recorded, less the command line in front of it.
fn recorded(scenario: &str, name: &str, form: &str) -> String {
    let text = read(&folder(scenario).join("traces").join(format!("{name}.{form}.txt")));
    text.split_once('\n').expect("a command line").1.to_owned()
}

fn first_difference(theirs: &str, ours: &str) -> String {
    let number = theirs.lines().zip(ours.lines()).take_while(|(one, other)| one == other).count();
    let line = |text: &str| text.lines().nth(number).unwrap_or("(the end)").to_owned();
    format!("line {}\n    recorded: {}\n    ours:     {}", number + 1, line(theirs), line(ours))
}

#[test]
fn every_recorded_trace_is_reproduced() {
    let mut compared = 0;
    let mut differences = String::new();
    for scenario in SCENARIOS {
        let database = load(scenario);
        for question in questions(scenario) {
            if ABORTED.contains(&question.name.as_str()) {
                continue;
            }
            for form in FORMS {
                let (theirs, ours) =
                    (recorded(scenario, &question.name, form), ask(&database, &question, form));
                compared += 1;
                if theirs != ours {
                    let first = first_difference(&theirs, &ours);
                    writeln!(differences, "{scenario} {} {form}: {first}", question.name).unwrap();
                }
            }
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
    assert_eq!(compared, 3 * (9 + 9 + 10));
}

#[test]
fn where_the_real_tool_aborts_there_is_an_answer() {
    let database = load("s3-rich");
    for question in questions("s3-rich") {
        if ABORTED.contains(&question.name.as_str()) {
            let minimal = ask(&database, &question, "minimal");
            assert!(minimal.starts_with("# icmp6,"), "{minimal}");
            assert!(minimal.contains("output(\"web1\")"), "{}: {minimal}", question.name);
        }
    }
}
