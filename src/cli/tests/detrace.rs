//! `millrace detrace`, and captures that are traced.

use super::*;

#[test]
fn text_gets_the_rows_behind_its_cookies() {
    let switch = Switch::start(|_, _| Ok("  * a row\n".to_owned()));
    let text = " cookie=0xa, table=0 actions=1\nno more\n 8. ip, priority 5, cookie 0xB\r\n cookie=0x0 cookie=0xa cookie=x";
    let (code, output, errors) = run_with(&["detrace"], Some(switch.socket()), text);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert_eq!(
        output,
        " cookie=0xa, table=0 actions=1\n  * a row\nno more\n 8. ip, priority 5, cookie 0xB\n  * a row\n \
         cookie=0x0 cookie=0xa cookie=x\n  * a row\n"
    );
    assert_eq!(
        switch.asked(),
        [json!(["detrace", ["0xa"]]), json!(["detrace", ["0xb"]])],
        "each is asked once"
    );
}

#[test]
fn a_capture_is_traced_in_one_request() {
    let switch = Switch::start(|_, _| Ok("told\n".to_owned()));
    let mut bytes = Vec::new();
    let mut writer = PcapWriter::new(&mut bytes).unwrap();
    for byte in [1, 2] {
        writer.write_packet(&PcapPacket::new(Duration::ZERO, 2, &[byte, 0])).unwrap();
    }
    let file = switch.file("a.pcap", &bytes);
    let words = ["trace", "--pcap", &file, "--in-port", "p1"];
    assert_eq!(switch.run(&words), (0, "told\n".to_owned(), String::new()));
    assert_eq!(switch.asked(), [json!(["trace/packet", ["p1", "0100", "0200"]])]);
}
