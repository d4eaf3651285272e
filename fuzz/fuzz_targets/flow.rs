//! Flow syntax: no text panics, errors point inside the text, and what is read is printed so that it is read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace::pipeline::syntax::{Mode, parse_flow, parse_flow_file, print_flow};

fuzz_target!(|text: &str| {
    for mode in [Mode::Add, Mode::Modify, Mode::Select { strict: true }] {
        match parse_flow(text, &(), mode) {
            Ok(flow) => {
                let printed = print_flow(&flow, &());
                assert_eq!(parse_flow(&printed, &(), mode), Ok(flow), "became {printed:?}");
            }
            Err(error) => {
                assert!(text.get(error.span.clone()).is_some(), "span {:?}", error.span);
                error.render(text);
            }
        }
    }
    parse_flow_file(text, &()).for_each(drop);
});
