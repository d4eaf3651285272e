//! Feeds bytes to the control socket's framing and has what comes out of it done by the commands, on a switch in memory.
//! Whatever is sent, what comes back is JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = millrace::control::testing::converse(bytes).expect("an event loop");
    for answer in serde_json::Deserializer::from_slice(&read).into_iter::<serde_json::Value>() {
        let answer = answer.expect("answers are JSON");
        assert!(answer["error"].is_null() != answer["result"].is_null(), "an answer is a result or an error");
    }
});
