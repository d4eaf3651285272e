//! Instructions of fixed scenarios, counted by callgrind and compared with benches/instructions.toml: fails where one
//! takes more than 5 % more than is written there. Cores and clocks do not matter to a count, only the compiler does.
//!
//! `cargo bench --no-default-features --profile gate --bench instructions` compares; `-- --bless` writes the file anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use millrace::classifier::cache::{Seed, flow_hash};
use millrace::packet::parse::parse;
use millrace::packet::{FlowKey, FlowMask, PacketMeta};
use millrace::pipeline::translate::Translation;

mod scenes;

use scenes::{BURST, Filled, Publisher, Tuples, acl, bursts, chain, key, support, tunnel, walk};

/// How much more than written may be needed, in percent.
const TOLERANCE: f64 = 5.0;
/// The scenarios are run from a process of their own each, which is told so.
const SCENARIO: &str = "--scenario";
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.toml");

struct Scenario {
    name: &'static str,
    /// Packets or operations of one round.
    each: u32,
    rounds: u32,
    /// Makes what a round works on, and the round.
    prepare: fn() -> Box<dyn FnMut()>,
}

const SCENARIOS: [Scenario; 14] = [
    Scenario { name: "parse", each: BURST as u32, rounds: 64, prepare: parsing },
    Scenario { name: "flow_hash", each: BURST as u32, rounds: 64, prepare: hashing },
    Scenario { name: "exact_match", each: BURST as u32, rounds: 64, prepare: guessing },
    Scenario { name: "search_1_subtable", each: BURST as u32, rounds: 64, prepare: || searching(1) },
    Scenario { name: "search_10_subtables", each: BURST as u32, rounds: 64, prepare: || searching(10) },
    Scenario { name: "lookup_and_hit_1_megaflow", each: BURST as u32, rounds: 64, prepare: || forwarding(1) },
    Scenario {
        name: "lookup_and_hit_1000_megaflows",
        each: BURST as u32,
        rounds: 64,
        prepare: || forwarding(1000),
    },
    Scenario { name: "install", each: 1, rounds: 2000, prepare: installing },
    Scenario { name: "table_lookup_acl_1000", each: 1, rounds: 2000, prepare: table_lookup },
    Scenario { name: "translate_3_tables", each: 1, rounds: 2000, prepare: translating },
    Scenario { name: "encapsulate", each: BURST as u32, rounds: 64, prepare: || encapsulating(false) },
    Scenario {
        name: "encapsulate_with_checksum",
        each: BURST as u32,
        rounds: 64,
        prepare: || encapsulating(true),
    },
    Scenario { name: "classify_tunnelled", each: BURST as u32, rounds: 64, prepare: classifying },
    Scenario { name: "publish_one_of_1000", each: 1, rounds: 200, prepare: publishing },
];

fn parsing() -> Box<dyn FnMut()> {
    let frames: Vec<_> = (0..BURST as u16).map(|n| support::numbered(n, 0, 60)).collect();
    let (mut metas, mut keys) = ([PacketMeta::default(); BURST], [FlowKey::default(); BURST]);
    Box::new(move || {
        for ((frame, meta), key) in frames.iter().zip(&mut metas).zip(&mut keys) {
            let _ = black_box(parse(black_box(frame), meta, key));
        }
    })
}

fn hashing() -> Box<dyn FnMut()> {
    let (seed, keys) = (Seed::new(1), bursts(1, 1000, key));
    Box::new(move || {
        for key in &keys[0] {
            black_box(flow_hash(&seed, black_box(key)));
        }
    })
}

fn guessing() -> Box<dyn FnMut()> {
    let (tuples, mut burst) = (Tuples::new(10, 1000), 0);
    Box::new(move || {
        burst += 1;
        assert!(tuples.guess(burst) < 4);
    })
}

fn searching(subtables: u32) -> Box<dyn FnMut()> {
    let (mut tuples, mut burst) = (Tuples::new(subtables, 1000), 0);
    Box::new(move || {
        burst += 1;
        assert_eq!(tuples.search(burst), 0);
    })
}

fn forwarding(megaflows: u32) -> Box<dyn FnMut()> {
    let matcher = if megaflows == 1 { "in_port=1" } else { "ip,nw_src=10.0.0.0" };
    let mut cache = Filled::new(matcher, 1 << 12);
    assert!((0..megaflows).all(|n| cache.install(&key(n))));
    let (bursts, mut at) = (bursts(16, megaflows.max(16), key), 0);
    Box::new(move || {
        at += 1;
        assert_eq!(cache.forward(&bursts[at % bursts.len()]), BURST as u32);
    })
}

fn installing() -> Box<dyn FnMut()> {
    let mut cache = Filled::new("ip,nw_src=10.0.0.0", 1 << 12);
    let mut n = 0;
    Box::new(move || {
        n += 1;
        assert!(cache.install(&key(n)), "{n}");
    })
}

fn table_lookup() -> Box<dyn FnMut()> {
    let ((classifier, keys), mut at) = (acl(1000), 0);
    Box::new(move || {
        at += 1;
        let mut read = FlowMask::default();
        black_box(classifier.lookup(&keys[at % keys.len()], &mut read));
        black_box(&read);
    })
}

fn translating() -> Box<dyn FnMut()> {
    let (snapshot, mut out, mut n) = (chain(3), Translation::default(), 0);
    Box::new(move || {
        n += 1;
        assert_eq!(walk(&snapshot, &key(n), &mut out), 3);
    })
}

fn encapsulating(checksum: bool) -> Box<dyn FnMut()> {
    let mut tunnel = tunnel::Leaving::new(checksum, 60);
    Box::new(move || tunnel.burst())
}

fn classifying() -> Box<dyn FnMut()> {
    let tunnel = tunnel::Arriving::new(60);
    Box::new(move || assert_eq!(tunnel.burst(), BURST))
}

fn publishing() -> Box<dyn FnMut()> {
    let mut publisher = Publisher::new(1000);
    Box::new(move || {
        black_box(publisher.change());
    })
}

/// Callgrind counts in here and nowhere else; it knows the place by this name.
#[inline(never)]
fn rounds_to_count(rounds: u32, round: &mut dyn FnMut()) {
    for _ in 0..rounds {
        black_box(&mut *round)();
    }
}

/// Under callgrind: does one scenario. What is made at the first use is made before.
fn perform(name: &str) -> Result<()> {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name);
    let scenario = scenario.with_context(|| format!("there is no scenario {name}"))?;
    let mut round = (scenario.prepare)();
    (0..8).for_each(|_| round());
    rounds_to_count(scenario.rounds, &mut *round);
    Ok(())
}

/// Instructions of one packet or operation.
fn count(scenario: &Scenario, folder: &Path) -> Result<f64> {
    let out = folder.join(scenario.name);
    let mut file = std::ffi::OsString::from("--callgrind-out-file=");
    file.push(&out);
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*rounds_to_count*"])
        .arg(file)
        .arg(std::env::current_exe()?)
        .args([SCENARIO, scenario.name])
        .output()
        .context("valgrind cannot be run; install the package valgrind")?;
    ensure!(run.status.success(), "{}: {}", scenario.name, String::from_utf8_lossy(&run.stderr));
    let profile = std::fs::read_to_string(&out).with_context(|| format!("{}", out.display()))?;
    let totals = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    let total: u64 = totals.context("callgrind wrote no totals")?.trim().parse()?;
    ensure!(
        total > 0,
        "{}: callgrind did not find what it should count; is the binary stripped?",
        scenario.name
    );
    Ok(total as f64 / f64::from(scenario.rounds * scenario.each))
}

/// Writes the counts as those to compare with.
fn bless(counts: &BTreeMap<&str, f64>) -> Result<()> {
    let mut text = String::from(
        "# Instructions for one packet or operation, written by\n\
         # `cargo bench --no-default-features --profile gate --bench instructions -- --bless`.\n",
    );
    for (name, count) in counts {
        writeln!(text, "{name} = {count:.1}")?;
    }
    std::fs::write(FILE, text).with_context(|| FILE.to_owned())
}

/// Whether no count is above what is written by more than the tolerance. Prints all.
fn compare(counts: &BTreeMap<&str, f64>) -> Result<bool> {
    let text =
        std::fs::read_to_string(FILE).with_context(|| format!("{FILE} cannot be read; --bless writes it"))?;
    let written: BTreeMap<String, f64> = toml::from_str(&text).with_context(|| FILE.to_owned())?;
    let mut good = written.keys().all(|name| counts.contains_key(name.as_str()));
    if !good {
        println!("{FILE} names what is no scenario; write it anew with --bless");
    }
    for (name, count) in counts {
        let Some(written) = written.get(*name) else {
            println!("{name:30} {count:9.1}   not written down; do so with --bless");
            good = false;
            continue;
        };
        let percent = (count / written - 1.0) * 100.0;
        let verdict = match percent {
            _ if percent > TOLERANCE => "TOO MANY",
            _ if percent < -TOLERANCE => "fewer: keep it so with --bless",
            _ => "",
        };
        good &= percent <= TOLERANCE;
        println!("{name:30} {count:9.1} {written:9.1} {percent:+6.1} %  {verdict}");
    }
    Ok(good)
}

fn main() -> Result<ExitCode> {
    // Cargo adds a word of its own.
    let words: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let is_blessing = match words[..] {
        [SCENARIO, name] => return perform(name).map(|()| ExitCode::SUCCESS),
        ["--bless"] => true,
        [] => false,
        _ => bail!("only --bless is understood"),
    };
    let folder = tempfile::tempdir()?;
    let mut counts = BTreeMap::new();
    for scenario in &SCENARIOS {
        counts.insert(scenario.name, count(scenario, folder.path())?);
    }
    if is_blessing {
        bless(&counts)?;
    }
    Ok(if compare(&counts)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
