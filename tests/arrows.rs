//! The drawing of the modules stays true: who may use whom, where `unsafe` may stand, and what may not stand on the
//! packet path. Read from the tokens of the source, so that comments and texts do not count; tests are left out.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// What a module may use of the crate beside itself.
enum Uses {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}
use Uses::{AllBut, Only};

const ARROWS: &[(&str, Uses)] = &[
    ("packet", Only(&[])),
    ("rcu", Only(&[])),
    ("ident", Only(&[])),
    ("hint", Only(&[])),
    ("classifier", Only(&["hint", "packet"])),
    ("config", Only(&["packet"])),
    ("dpdk", Only(&["hint", "packet", "ident"])),
    ("tunnel", Only(&["packet"])),
    ("action", Only(&["packet", "tunnel"])),
    ("pipeline", Only(&["classifier", "action", "packet", "tunnel"])),
    ("logical", Only(&["packet"])),
    ("lower", Only(&["logical", "pipeline", "action", "packet"])),
    ("datapath", Only(&["config", "pipeline", "action", "packet", "tunnel"])),
    ("worker", AllBut(&["control", "cli", "client"])),
    ("control", AllBut(&["worker", "dpdk", "cli"])),
    ("client", AllBut(&["worker", "control", "dpdk", "pipeline"])),
    ("cli", AllBut(&["worker", "control", "dpdk", "pipeline"])),
];

/// Compiled for tests only; a module inside a file is found by its attribute.
const TEST_FILES: &[&str] = &["tests.rs", "flowmod_tests.rs", "testing.rs", "testgen.rs", "vectors.rs"];

const UNSAFE_PLACES: &[&str] = &["src/dpdk/", "src/rcu.rs", "src/hint.rs"];

const PACKET_PATH: &[&str] = &[
    "src/packet/",
    "src/classifier/",
    "src/action/",
    "src/pipeline/conjunction.rs",
    "src/pipeline/record.rs",
    "src/pipeline/cache/",
    "src/pipeline/translate/",
    "src/tunnel/answer.rs",
    "src/tunnel/bfd/wire.rs",
    "src/tunnel/classify.rs",
    "src/tunnel/ecn.rs",
    "src/tunnel/encap.rs",
    "src/tunnel/endpoint.rs",
    "src/tunnel/frames.rs",
    "src/tunnel/geneve.rs",
    "src/tunnel/underlay.rs",
    "src/worker/burst.rs",
    "src/worker/errand.rs",
    "src/worker/poll.rs",
    "src/worker/wait.rs",
    "src/worker/again.rs",
    "src/worker/held.rs",
    "src/worker/live.rs",
    "src/worker/told.rs",
    "src/worker/stage.rs",
    "src/worker/mailbox.rs",
    "src/worker/counters.rs",
    "src/worker/state.rs",
];

/// Runs of tokens, separated by spaces, that panic, allocate, format, print, log or wait.
const FORBIDDEN: &[&str] = &[
    ". unwrap (",
    ". expect (",
    "panic !",
    "unreachable !",
    "todo !",
    "unimplemented !",
    "assert !",
    "assert_eq !",
    "assert_ne !",
    "print !",
    "println !",
    "eprintln !",
    "dbg !",
    "format !",
    "vec !",
    "tracing : :",
    "log : :",
    "Mutex",
    "RwLock",
    "Condvar",
    "RefCell",
    "Box : : new",
    "Arc : : new",
    "Arc : : make_mut",
    "Rc : : new",
    "Vec : : new",
    "Vec : : with_capacity",
    "String : : new",
    "String : : from",
    ". to_vec (",
    ". to_owned (",
    ". to_string (",
    ". into_boxed_slice (",
    ". collect (",
    ". clone (",
    "Arc : : clone",
];

/// File, function, run of tokens, and why it may stand there. One that is not needed any more is an error too.
const EXCEPTIONS: &[(&str, &str, &str, &str)] = &[
    (
        "src/classifier/cache/megaflows.rs",
        "new",
        "Vec : : with_capacity",
        "the memory of all megaflows, made once per worker",
    ),
    ("src/classifier/cache/megaflows.rs", "new", ". collect (", "made once per worker"),
    ("src/pipeline/cache/intern.rs", "new", "Vec : : with_capacity", "the memory of all lists, made once"),
    ("src/pipeline/cache/ways.rs", "new", "Vec : : with_capacity", "the memory of all ways, made once"),
    ("src/pipeline/cache/ways.rs", "new", "vec !", "made once per worker"),
    ("src/worker/wait.rs", "new", "Vec : : with_capacity", "made once per worker"),
    ("src/worker/wait.rs", "new", "vec !", "made once per worker"),
    ("src/worker/wait.rs", "new", ". collect (", "made once per worker"),
    ("src/worker/held.rs", "new", "Vec : : with_capacity", "made once per worker"),
    ("src/worker/held.rs", "take", ". collect (", "into an array of four"),
    ("src/worker/told.rs", "new", ". collect (", "made once per worker"),
    (
        "src/classifier/subtable.rs",
        "iter_where",
        ". collect (",
        "selects flows for a change or a dump on the control thread",
    ),
    (
        "src/packet/addr.rs",
        "from_str",
        ". to_owned (",
        "text of the configuration and of flows, quoted in the error",
    ),
    ("src/packet/buf.rs", "new", "Vec : : with_capacity", "the packet on the heap; the fast path has mbufs"),
    ("src/packet/buf.rs", "try_copy", ". clone (", "the packet on the heap; the fast path has mbufs"),
    (
        "src/pipeline/record.rs",
        "default",
        "Vec : : with_capacity",
        "the memory of all records, made once per worker",
    ),
    (
        "src/pipeline/translate/mod.rs",
        "default",
        "Vec : : with_capacity",
        "the memory of all translations, made once per worker",
    ),
    (
        "src/pipeline/translate/mod.rs",
        "recycle",
        ". collect (",
        "in place, without an allocation; a test watches that",
    ),
    ("src/worker/counters.rs", "new", ". collect (", "made on the control thread, before the worker starts"),
    ("src/worker/counters.rs", "read", ". collect (", "the control thread reads"),
    ("src/worker/counters.rs", "combine", ". collect (", "the control thread adds up"),
    ("src/worker/stage.rs", "new", ". collect (", "made on the control thread, before the worker starts"),
];

/// Files of persistent structures: their functions that only the control thread calls, and what may stand in those.
/// A function that needs none of it is an error too.
const CHANGES: &[(&str, &[&str])] = &[
    ("src/classifier/mod.rs", &["clone", "default", "insert", "remove"]),
    ("src/classifier/prefix.rs", &["insert", "remove"]),
    ("src/classifier/ranked.rs", &["clone", "insert", "remove", "get_mut"]),
    ("src/classifier/subtable.rs", &["clone", "replace", "insert", "remove"]),
    ("src/classifier/trie.rs", &["iter", "alter", "fold", "with", "without"]),
    ("src/classifier/words.rs", &["new"]),
];
const ALLOWED_IN_CHANGES: &[&str] =
    &["vec !", "Arc : : new", "Arc : : make_mut", "Arc : : clone", ". collect (", ". clone ("];

/// A token, its line, and the function that it stands in.
struct Token {
    text: String,
    line: usize,
    function: String,
}

struct Source {
    /// From the root of the repository.
    path: String,
    /// Without what is compiled for tests only.
    tokens: Vec<Token>,
    /// All there is.
    all: Vec<Token>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            out.push(path);
        }
    }
}

/// Every file of `src` but those of tests.
fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    files(&root().join("src"), &mut paths);
    paths.sort();
    paths.retain(|path| !TEST_FILES.iter().any(|name| path.ends_with(name)));
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let tokens = flatten(&text, true);
        Source { path, tokens, all: flatten(&text, false) }
    };
    let sources: Vec<_> = paths.into_iter().map(read).collect();
    assert!(sources.len() > 50, "only {} files were found", sources.len());
    sources
}

fn flatten(text: &str, without_tests: bool) -> Vec<Token> {
    let mut out = Vec::new();
    walk(text.parse().unwrap(), "", without_tests, &mut out);
    out
}

fn walk(stream: TokenStream, function: &str, without_tests: bool, out: &mut Vec<Token>) {
    let mut function = function.to_owned();
    let mut outside = None;
    let mut tokens = stream.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let mut push = |text: String, function: &str| {
            out.push(Token { text, line: token.span().start().line, function: function.to_owned() });
        };
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == '#' && without_tests => {
                let attribute = tokens.next_if(|next| matches!(next, TokenTree::Group(_)));
                match attribute {
                    Some(TokenTree::Group(group)) if is_for_tests(&group) => skip_item(&mut tokens),
                    Some(TokenTree::Group(group)) => walk(group.stream(), &function, without_tests, out),
                    _ => push("#".to_owned(), &function),
                }
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open.to_owned(), &function);
                walk(group.stream(), &function, without_tests, out);
                let line = group.span_close().start().line;
                out.push(Token { text: close.to_owned(), line, function: function.clone() });
                if group.delimiter() == Delimiter::Brace
                    && let Some(before) = outside.take()
                {
                    function = before;
                }
            }
            TokenTree::Ident(ident) => {
                push(ident.to_string(), &function);
                if ident == "fn"
                    && let Some(TokenTree::Ident(name)) = tokens.peek()
                {
                    outside.get_or_insert(std::mem::replace(&mut function, name.to_string()));
                }
            }
            TokenTree::Punct(punct) => {
                push(punct.as_char().to_string(), &function);
                // A method without a body.
                if punct.as_char() == ';'
                    && let Some(before) = outside.take()
                {
                    function = before;
                }
            }
            TokenTree::Literal(_) => push("\"\"".to_owned(), &function),
        }
    }
}

/// `[cfg(test)]`, `[cfg(all(test, …))]`, `[cfg(any(test, …))]`.
fn is_for_tests(attribute: &Group) -> bool {
    let text: String = attribute.stream().to_string().split_whitespace().collect();
    ["cfg(test)", "cfg(all(test,", "cfg(any(test,"].iter().any(|cfg| text.starts_with(cfg))
}

/// Skips what an attribute belongs to: up to a semicolon or the end of a block.
fn skip_item(tokens: &mut impl Iterator<Item = TokenTree>) {
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ';' => return,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            _ => {}
        }
    }
}

/// Whether the tokens from `at` on are `pattern`.
fn stands_at(tokens: &[Token], at: usize, pattern: &str) -> bool {
    let mut tokens = tokens.iter().skip(at).map(|token| token.text.as_str());
    pattern.split(' ').all(|want| tokens.next() == Some(want))
}

/// The names that follow a path which stands before `at`: one, or those of a group in braces.
fn names(tokens: &[Token], at: usize) -> Vec<&Token> {
    if tokens.get(at).is_none_or(|token| token.text != "{") {
        return tokens.get(at).into_iter().collect();
    }
    let mut depth = 0;
    let mut names = Vec::new();
    for pair in tokens.get(at..).unwrap().windows(2) {
        match pair[0].text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(pair[0].text.as_str(), "{" | ",") && pair[1].text != "}" {
            names.push(&pair[1]);
        }
    }
    names
}

/// The modules of the crate's root that a file names, and where: by `crate::` or by as many `super::` as lead there.
fn uses(source: &Source) -> Vec<(&str, usize)> {
    let inside = source.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let to_root = vec!["super : :"; inside.split('/').count()].join(" ");
    let mut found = Vec::new();
    for at in 0..source.tokens.len() {
        let path = ["crate : :", &to_root].into_iter().find(|path| stands_at(&source.tokens, at, path));
        if let Some(path) = path {
            let names = names(&source.tokens, at + path.split(' ').count());
            found.extend(names.into_iter().map(|token| (token.text.as_str(), token.line)));
        }
    }
    found
}

fn module(path: &str) -> &str {
    path.trim_start_matches("src/").split(['/', '.']).next().unwrap()
}

#[test]
fn modules_use_only_what_the_design_allows() {
    let mut wrong = String::new();
    let mut seen = BTreeSet::new();
    for source in sources() {
        let from = module(&source.path);
        if from == "lib" || from == "bin" {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(module, _)| *module == from) else {
            writeln!(wrong, "{}: module {from} has no row in ARROWS; say there what it may use", source.path)
                .unwrap();
            continue;
        };
        seen.insert(from.to_owned());
        for (to, line) in uses(&source) {
            // Other names are macros, and what `super` leads to in a module within a file.
            let is_module = ARROWS.iter().any(|(module, _)| *module == to);
            let is_allowed = match allowed {
                Only(list) => list.contains(&to),
                AllBut(list) => !list.contains(&to),
            };
            if is_module && to != from && !is_allowed {
                writeln!(wrong, "{}:{line}: {from} -> {to}", source.path).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that docs/architecture.md does not draw:\n{wrong}");
    let rows: BTreeSet<_> = ARROWS.iter().map(|(module, _)| (*module).to_owned()).collect();
    assert_eq!(rows, seen, "rows without a module");
}

#[test]
fn unsafe_code_stands_only_in_dpdk_and_rcu() {
    let mut wrong = String::new();
    let mut places = BTreeSet::new();
    for source in sources() {
        let place = UNSAFE_PLACES.iter().find(|place| source.path.starts_with(*place));
        for token in
            source.all.iter().filter(|token| ["unsafe", "unsafe_code"].contains(&token.text.as_str()))
        {
            match place {
                Some(place) => _ = places.insert(*place),
                None => writeln!(wrong, "{}:{}: {}", source.path, token.line, token.text).unwrap(),
            }
        }
    }
    assert!(wrong.is_empty(), "unsafe code outside {UNSAFE_PLACES:?}:\n{wrong}");
    assert_eq!(places, UNSAFE_PLACES.iter().copied().collect(), "no unsafe code is left where it may be");
}

#[test]
fn the_packet_path_neither_panics_nor_allocates_nor_waits() {
    let mut wrong = String::new();
    let mut needed = BTreeSet::new();
    let mut changes = BTreeSet::new();
    let sources = sources();
    for place in PACKET_PATH {
        assert!(sources.iter().any(|source| source.path.starts_with(place)), "there is no {place}");
    }
    for source in sources.iter().filter(|source| PACKET_PATH.iter().any(|p| source.path.starts_with(p))) {
        for (at, token) in source.tokens.iter().enumerate() {
            for pattern in FORBIDDEN.iter().filter(|pattern| stands_at(&source.tokens, at, pattern)) {
                let exception = EXCEPTIONS.iter().position(|(file, function, allowed, _)| {
                    (*file, *function, *allowed) == (source.path.as_str(), token.function.as_str(), *pattern)
                });
                let is_change = ALLOWED_IN_CHANGES.contains(pattern)
                    && CHANGES.iter().any(|(file, functions)| {
                        *file == source.path && functions.contains(&token.function.as_str())
                    });
                match exception {
                    Some(index) => _ = needed.insert(index),
                    None if is_change => {
                        _ = changes.insert((source.path.as_str(), token.function.as_str()));
                    }
                    None => {
                        let (line, function) = (token.line, &token.function);
                        writeln!(wrong, "{}:{line}: `{pattern}` in fn {function}", source.path).unwrap();
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "not allowed on the packet path:\n{wrong}");
    for (index, (file, function, pattern, _)) in EXCEPTIONS.iter().enumerate() {
        assert!(
            needed.contains(&index),
            "the exception for `{pattern}` in fn {function} of {file} is not needed"
        );
    }
    let named = CHANGES.iter().flat_map(|(file, functions)| functions.iter().map(move |of| (*file, *of)));
    assert_eq!(changes, named.collect(), "functions of CHANGES that need no exception");
}

#[test]
fn the_reader_of_tokens_sees_what_it_should() {
    let text = r#"
        // unsafe { crate::worker }
        use crate::{packet::{a, b}, rcu};
        fn first() { let text = "panic!() crate::worker"; }
        fn second() -> u8 { x.unwrap().y; super::ident::z }
        trait T { fn third(); }
        const C: u8 = panic!();
        #[cfg(test)]
        mod tests { use crate::control::x; }
    "#;
    let source = Source { path: "src/some.rs".to_owned(), tokens: flatten(text, true), all: Vec::new() };
    assert_eq!(uses(&source), [("packet", 3), ("rcu", 3), ("ident", 5)]);
    let found = |pattern| {
        let hits = (0..source.tokens.len()).filter(|at| stands_at(&source.tokens, *at, pattern));
        hits.map(|at| source.tokens[at].function.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(found(". unwrap ("), ["second"]);
    assert_eq!(found("panic !"), [""]);
    assert_eq!(found("unsafe"), [""; 0]);
}
