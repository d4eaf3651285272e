//! `millrace ovn`.

use super::*;

/// Neither a switch nor a socket is needed for these.
#[rstest]
#[case(&["lex"], "ip4.src==10.0.0.7/24 # x\n", "ip4.src == 10.0.0.0/24 error(\"the character '#' begins nothing in this language; remove it, or put a name in double quotes\") x\n")]
#[case(&["parse-expr"], "5 < tcp.dst\n1\n", "tcp.dst > 0x5\n1\n")]
#[case(&["parse-expr", "--address-set", "as=10.0.0.1,10.0.1.0/24"], "ip4.src == $as", "ip4.src == 0xa000001 || ip4.src[8..31] == 0xa0001\n")]
#[case(&["--port-group", "pg=a,b", "parse-expr"], "inport == @pg", "inport == \"a\" || inport == \"b\"\n")]
#[case(&["annotate-expr"], "ip4.src == 1.2.3.4", "ip4.src == 0x1020304 && eth.type == 0x800\n")]
#[case(&["normalize-expr"], "icmp4 && ip", "eth.type == 0x800 && ip.proto == 0x1\n")]
#[case(&["evaluate-expr", "--port", "lp=4", "inport == \"lp\" && icmp4.type == 8"], "ip\nip6\ninport == \"lp\"\n", "true\nfalse\ntrue\n")]
#[case(&["evaluate-expr", "--resident", "here", "1"], "is_chassis_resident(\"here\")\nis_chassis_resident(\"x\")", "true\nfalse\n")]
#[case(&["parse-actions", "--table", "27"], "next;\n", "next;\n")]
#[case(&["parse-actions"], "ip.ttl--;next;\ndrop;\n", "ip.ttl--; next;\n    has prereqs ip\ndrop;\n")]
fn reads_the_language_of_ovn(#[case] words: &[&str], #[case] input: &str, #[case] output: &str) {
    let words: Vec<_> = ["ovn"].iter().chain(words).copied().collect();
    assert_eq!(run_with(&words, None, input), (0, output.to_owned(), String::new()));
}

#[test]
fn says_what_is_wrong_where_it_stands() {
    let (code, output, errors) = run_with(&["ovn", "parse-expr"], None, "ip4\nip4 && tcp || udp\nip6\n");
    assert_eq!((code, errors.as_str()), (1, "1 of the lines could not be read; the answers say why\n"));
    let (before, after) = output.split_once("error: && and || stand side by side").unwrap();
    assert_eq!(before, "ip4\n");
    assert!(
        after.contains("ip4 && tcp || udp\n") && after.contains("^^") && after.ends_with("\nip6\n"),
        "{output}"
    );

    let (code, output, _) = run_with(&["ovn", "--json", "parse-expr"], None, "ip4\nip4 ||\n");
    assert_eq!(code, 1);
    let lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({ "input": "ip4", "form": "ip4", "prereqs": null }));
    assert_eq!((&lines[1]["input"], &lines[1]["span"]), (&json!("ip4 ||"), &json!([6, 6])));
}

#[rstest]
#[case(&["ovn", "parse-expr", "--address-set", "as"], "\"as\" does not fit --address-set")]
#[case(&["ovn", "parse-expr", "--port-group", "=a"], "\"=a\" does not fit --port-group")]
#[case(&["ovn", "parse-expr", "--port", "a=x"], "\"a=x\" does not fit --port; write NAME=KEY")]
#[case(&["ovn", "parse-expr", "--port", "a=70000"], "\"a=70000\" does not fit --port; write NAME=KEY")]
#[case(&["ovn", "parse-expr", "--port", "a=0"], "with a key from 1 to 65535")]
#[case(&["ovn", "parse-expr", "--address-set", "as=10.0.0.1,foo"], "\"foo\" in --address-set is no address; write such as")]
#[case(&["ovn", "parse-expr", "--address-set", "as=10.0.0.1 10.0.0.2"], "\"10.0.0.1 10.0.0.2\" in --address-set")]
#[case(&["ovn", "parse-actions", "--table", "29"], "\"29\" does not fit --table; write the number of a table, from 0 to 28")]
#[case(&["ovn", "parse-actions", "--table", "nosuch"], "\"nosuch\" does not fit --table")]
#[case(&["ovn", "evaluate-expr", "ip4 && ip6"], "the microflow contradicts itself")]
fn says_what_is_wrong_with_names_and_microflows(#[case] words: &[&str], #[case] sentence: &str) {
    let (code, output, errors) = run_with(words, None, "ip4");
    assert_eq!((code, output.as_str()), (2, ""));
    assert!(errors.contains(sentence), "{errors}");
}

/// Words as a shell takes them apart, of which only single quotes are known.
fn shell_words(line: &str) -> Vec<&str> {
    let quoted_or_not = line.split('\'').enumerate();
    quoted_or_not
        .flat_map(|(n, part)| if n % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
        .collect()
}

#[test]
fn the_page_about_matches_shows_what_is_printed() {
    let page = include_str!("../../../docs/ovn.md");
    let mut shown = 0;
    for example in page.split("```\n$ millrace ").skip(1) {
        let (command, rest) = example.split_once('\n').unwrap();
        let (answer, _) = rest.split_once("```\n").unwrap();
        let words = shell_words(command);
        let [words @ .., "<<<", input] = words.as_slice() else { panic!("{command}") };
        let (_, output, errors) = run_with(words, None, &format!("{input}\n"));
        assert_eq!(output + &errors, answer, "{command}");
        shown += 1;
    }
    assert_eq!(shown, 7);
}

#[test]
fn a_line_that_is_no_text_is_named() {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let mut input = Cursor::new(b"ip4\r\nip6 \xff\n");
    let words = ["millrace", "ovn", "parse-expr"].map(OsString::from);
    let streams = &mut Streams { input: &mut input, output: &mut output, errors: &mut errors };
    assert_eq!((run(words, None, streams), &output[..]), (2, &b"ip4\n"[..]));
    let errors = String::from_utf8(errors).unwrap();
    assert_eq!(errors, "standard input is not a text in UTF-8 at line 2, byte 5; mend that line\n");
}
