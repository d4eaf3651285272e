//! What a trace is asked for: the words of ovn-trace's command line.

use std::net::{IpAddr, Ipv6Addr};

use super::format::Form;
use crate::packet::field::Form as FieldForm;

/// State bit of a packet that the connection table has seen.
pub(super) const TRACKED: u32 = 1 << 5;

/// What a trace takes to be so where rows cannot say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Connection states, in the order in which actions ask for one; behind the last it is established.
    pub ct: Vec<u32>,
    /// The backend that load balancers choose; port 0 is none.
    pub lb_dst: Option<(IpAddr, u16)>,
    /// The number that `select` chooses.
    pub select_id: Option<u16>,
    /// Whether names that end in UUIDs are shortened, and replaced by friendlier ones where there are any.
    pub friendly_names: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { ct: Vec::new(), lb_dst: None, select_id: None, friendly_names: true }
    }
}

/// A question to the tracer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Whose packet it is; without, that of the port which the microflow names.
    pub datapath: Option<String>,
    /// The packet.
    pub microflow: String,
    /// What is taken to be so.
    pub options: Options,
    /// The forms that are wanted; none means the detailed one.
    pub forms: Vec<Form>,
    /// Whether the flows of the tables are wanted that logical flows became.
    pub ovs: bool,
}

/// Why words are no question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Not as many words as there must be.
    #[error("{0} words are given; write [DATAPATH] MICROFLOW, with quotes around the microflow")]
    Words(usize),
    /// An option that nobody knows.
    #[error(
        "there is no option \"{0}\"; there are --detailed, --summary, --minimal, --all, --ovs, --ct=STATE, --lb-dst=IP[:PORT], \
         --select-id=NUMBER and --no-friendly-names"
    )]
    Option(String),
    /// An option without what belongs behind it.
    #[error("{0} needs a value; write {0}={1}")]
    Value(&'static str, &'static str),
    /// A connection state that nobody knows.
    #[error(
        "\"{0}\" is no connection state; write some of trk, new, est, rel, rpl, inv, dnat, snat with commas between"
    )]
    State(String),
    /// No address.
    #[error("\"{0}\" is no backend; write an address such as 10.0.0.1, 10.0.0.1:80 or [fd00::1]:80")]
    Backend(String),
    /// No number.
    #[error("\"{0}\" is no number that select may choose; write one from 1 to 65535")]
    Select(String),
}

impl Request {
    /// Reads words. Options may stand anywhere, with their values behind an equals sign.
    pub fn parse<T: AsRef<str>>(words: &[T]) -> Result<Self, BadRequest> {
        let mut request = Self::default();
        let mut rest = Vec::new();
        for word in words.iter().map(T::as_ref) {
            // A microflow may begin with anything but two hyphens.
            if word.starts_with("--") { request.option(word)? } else { rest.push(word) }
        }
        match rest[..] {
            [microflow] => request.microflow = microflow.to_owned(),
            [datapath, microflow] => {
                request.datapath = Some(datapath.to_owned());
                request.microflow = microflow.to_owned();
            }
            _ => return Err(BadRequest::Words(rest.len())),
        }
        Ok(request)
    }

    fn option(&mut self, word: &str) -> Result<(), BadRequest> {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let options = &mut self.options;
        let valued = [("--ct", "STATE"), ("--lb-dst", "IP[:PORT]"), ("--select-id", "NUMBER")];
        if let Some((name, value)) = valued.into_iter().find(|(name, _)| *name == word) {
            return Err(BadRequest::Value(name, value));
        }
        match name {
            "--ct" => options.ct.push(state(value)?),
            "--lb-dst" => {
                options.lb_dst = Some(endpoint(value).ok_or_else(|| BadRequest::Backend(value.to_owned()))?);
            }
            "--select-id" => {
                let number = value.parse().ok().filter(|number| *number != 0);
                options.select_id = Some(number.ok_or_else(|| BadRequest::Select(value.to_owned()))?);
            }
            "--friendly-names" if word == name => options.friendly_names = true,
            "--no-friendly-names" if word == name => options.friendly_names = false,
            "--ovs" if word == name => self.ovs = true,
            "--all" if word == name => self.forms.extend(Form::ALL),
            _ => {
                let form = Form::ALL.into_iter().find(|form| word.strip_prefix("--") == Some(form.name()));
                self.forms.push(form.ok_or_else(|| BadRequest::Option(word.to_owned()))?);
            }
        }
        Ok(())
    }

    /// The forms that are printed, in their order.
    pub fn wanted(&self) -> Vec<Form> {
        if self.forms.is_empty() {
            return vec![Form::Detailed];
        }
        Form::ALL.into_iter().filter(|form| self.forms.contains(form)).collect()
    }
}

/// Connection state by the names of its flags; that it is tracked need not be said.
fn state(text: &str) -> Result<u32, BadRequest> {
    let names = FieldForm::CtState.flag_names().unwrap_or_default();
    text.split([',', ' ']).filter(|word| !word.is_empty()).try_fold(TRACKED, |state, word| {
        let bit = names.iter().position(|name| *name == word);
        bit.map(|bit| state | 1 << bit).ok_or_else(|| BadRequest::State(word.to_owned()))
    })
}

/// An address and perhaps a port, the form in which load balancers name theirs. Without a port it is 0.
pub(super) fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, port) = rest.split_once(']')?;
        let ip: Ipv6Addr = ip.parse().ok()?;
        let port = if port.is_empty() { 0 } else { port.strip_prefix(':')?.parse().ok()? };
        return Some((ip.into(), port));
    }
    match text.split_once(':') {
        Some((ip, port)) if !port.contains(':') => Some((IpAddr::V4(ip.parse().ok()?), port.parse().ok()?)),
        _ => Some((text.parse().ok()?, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_a_request() {
        let words = [
            "--ct=new",
            "ls1",
            "--ct=est,rpl dnat",
            "ip4",
            "--lb-dst=10.0.0.1:80",
            "--summary",
            "--select-id=3",
        ];
        let request = Request::parse(&words).unwrap();
        assert_eq!(request.datapath.as_deref(), Some("ls1"));
        assert_eq!(request.microflow, "ip4");
        assert_eq!(request.options.ct, [0x21, 0xaa]);
        assert_eq!(request.options.lb_dst, Some(("10.0.0.1".parse().unwrap(), 80)));
        assert_eq!(request.options.select_id, Some(3));
        assert!(request.options.friendly_names);
        assert_eq!(request.wanted(), [Form::Summary]);

        let request = Request::parse(&["ip4", "--no-friendly-names"]).unwrap();
        assert_eq!((request.datapath.as_deref(), request.microflow.as_str()), (None, "ip4"));
        assert!(!request.options.friendly_names);
        assert_eq!(request.wanted(), [Form::Detailed]);
        let request = Request::parse(&["--minimal", "--all", "--minimal", "ip4"]).unwrap();
        assert_eq!(request.wanted(), Form::ALL);
    }

    #[test]
    fn nonsense_gets_a_sentence() {
        let refused = |words: &[&str]| Request::parse(words).unwrap_err();
        assert_eq!(refused(&[]), BadRequest::Words(0));
        assert_eq!(refused(&["a", "b", "c"]), BadRequest::Words(3));
        for word in ["--", "--ovs=1", "--all=1", "--summary=1", "--friendly-names=no", "--detail"] {
            assert_eq!(refused(&["a", word]), BadRequest::Option(word.to_owned()));
        }
        for (option, value) in [("--ct", "STATE"), ("--lb-dst", "IP[:PORT]"), ("--select-id", "NUMBER")] {
            assert_eq!(refused(&[option, "a"]), BadRequest::Value(option, value));
        }
        assert_eq!(refused(&["--ct=old", "a"]), BadRequest::State("old".to_owned()));
        for value in ["", "10.0.0.1:", "10.0.0.1:99999", "[fd00::1", "[fd00::1]80", "[10.0.0.1]:80", "x"] {
            assert_eq!(refused(&[&format!("--lb-dst={value}"), "a"]), BadRequest::Backend(value.to_owned()));
        }
        for value in ["", "0", "-1", "65536"] {
            assert_eq!(
                refused(&[&format!("--select-id={value}"), "a"]),
                BadRequest::Select(value.to_owned())
            );
        }
    }

    #[test]
    fn endpoints() {
        let v6: IpAddr = "fd00::1".parse().unwrap();
        assert_eq!(endpoint("fd00::1"), Some((v6, 0)));
        assert_eq!(endpoint("[fd00::1]"), Some((v6, 0)));
        assert_eq!(endpoint("[fd00::1]:80"), Some((v6, 80)));
        assert_eq!(endpoint("10.0.0.1"), Some(("10.0.0.1".parse().unwrap(), 0)));
    }
}
