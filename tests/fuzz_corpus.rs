//! Every file of the committed fuzz corpus goes through the body of its fuzz target.

use std::path::Path;

fn run(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut tried = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Shown if the body panics.
        println!("{}", path.display());
        body(&std::fs::read(&path).unwrap());
        tried += 1;
    }
    assert!(tried > 0, "the corpus of {target} is empty");
}

#[test]
fn parse() {
    run("parse", millrace::testing::fuzz_parse);
}

#[test]
fn flow() {
    run("flow", millrace::testing::fuzz_flow);
}

#[test]
fn socket() {
    run("socket", millrace::testing::fuzz_socket);
}

#[test]
fn megaflows() {
    run("megaflows", millrace::testing::fuzz_megaflows);
}

#[test]
fn actions() {
    run("actions", millrace::testing::fuzz_actions);
}

#[test]
fn lexer() {
    run("lexer", millrace::testing::fuzz_lexer);
}

#[test]
fn expression() {
    run("expression", millrace::testing::fuzz_expression);
}

#[test]
fn dump() {
    run("dump", millrace::testing::fuzz_dump);
}

#[test]
fn reply() {
    run("reply", millrace::testing::fuzz_reply);
}

#[test]
fn lower() {
    run("lower", millrace::testing::fuzz_lower);
}

#[test]
fn nbctl() {
    run("nbctl", millrace::testing::fuzz_nbctl);
}

#[test]
fn journal() {
    run("journal", millrace::testing::fuzz_journal);
}

#[test]
fn geneve() {
    run("geneve", millrace::testing::fuzz_geneve);
}
