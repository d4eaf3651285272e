//! Trees made at random print texts that are read as the same trees, and texts made at random harm nobody.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::*;
use super::{here, read};
use crate::logical::cursor::Cursor;
use crate::logical::expr::{Constant, ConstantSet};
use crate::logical::lex::{Format, Number};
use crate::logical::symbol::{FieldRef, Kind as SymbolKind, Level, Symbol, Writable, lookup, symbols};

fn field(text: &'static str) -> FieldRef {
    FieldRef::parse(&mut Cursor::new(text)).unwrap()
}

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = FieldRef> {
    select(texts).prop_map(field)
}

fn port() -> impl Strategy<Value = FieldRef> {
    one_of(&["inport", "outport"])
}

fn bit() -> impl Strategy<Value = FieldRef> {
    one_of(&["reg0[0]", "reg9[5]", "flags.loopback", "xxreg1[127]", "eth.mcast", "vlan.pcp[2]"])
}

fn mac() -> impl Strategy<Value = FieldRef> {
    one_of(&["eth.src", "arp.sha", "nd.sll", "xreg0[0..47]"])
}

fn ip4() -> impl Strategy<Value = FieldRef> {
    one_of(&["reg0", "ip4.dst", "arp.spa", "xxreg0[32..63]"])
}

fn ip6() -> impl Strategy<Value = FieldRef> {
    one_of(&["xxreg0", "ip6.src", "nd.target"])
}

/// Some bits of a symbol, all of them where they cannot be taken apart.
fn part(symbol: &'static Symbol) -> BoxedStrategy<FieldRef> {
    let whole = FieldRef::whole(symbol);
    if symbol.is_string() || symbol.level == Level::Nominal {
        return Just(whole).boxed();
    }
    let width = symbol.width();
    let bits = (0..width, 0..width).prop_map(move |(a, b)| {
        let (low, high) = (a.min(b), a.max(b));
        FieldRef { symbol, offset: low, width: high - low + 1 }
    });
    prop_oneof![Just(whole), bits].boxed()
}

/// Any field, or any that can be written there.
fn any_field(wanted: Option<Writable>) -> impl Strategy<Value = FieldRef> {
    let fields: Vec<&'static Symbol> = symbols()
        .iter()
        .filter(|symbol| matches!(symbol.kind, SymbolKind::Field { .. } | SymbolKind::Str(_)))
        .filter(|symbol| wanted.is_none_or(|wanted| symbol.writable == wanted))
        .collect();
    select(fields).prop_flat_map(part)
}

/// A field of the same width that can be written.
fn as_wide(field: FieldRef) -> BoxedStrategy<FieldRef> {
    if field.width == 0 {
        return port().boxed();
    }
    let bits = FieldRef::whole(lookup("xxreg1").unwrap());
    (0..=bits.width - field.width)
        .prop_map(move |offset| FieldRef { offset, width: field.width, ..bits })
        .boxed()
}

fn text() -> impl Strategy<Value = String> {
    "[ -~\\n\\té\"\\\\]{0,12}"
}

fn boxed_text() -> impl Strategy<Value = Box<str>> {
    text().prop_map(String::into_boxed_str)
}

fn ones(bits: u16) -> u128 {
    if bits == 0 { 0 } else { u128::MAX >> (128 - bits) }
}

/// A number of at most that many bits, in one of the forms for so many.
fn number(bits: u16) -> impl Strategy<Value = Number> {
    let mut forms = vec![Format::Hex];
    forms.extend([Format::Decimal, Format::Ethernet, Format::Ipv4, Format::Ipv6].into_iter().filter(
        |form| {
            // The form of an address says how wide it is.
            *form == Format::Decimal || form.bits() <= bits
        },
    ));
    (any::<u128>(), option::weighted(0.3, any::<u128>()), select(forms), 0..=bits).prop_map(
        move |(value, mask, format, bits)| {
            let room = ones(bits.min(format.bits()));
            let mask = mask.map(|mask| mask & room);
            Number { value: value & mask.unwrap_or(room), mask, format }
        },
    )
}

fn constant_for(field: FieldRef) -> BoxedStrategy<Constant> {
    match field.width {
        0 => text().prop_map(Constant::Text).boxed(),
        _ => number(field.symbol.width()).prop_map(Constant::Number).boxed(),
    }
}

fn load(wanted: Writable) -> impl Strategy<Value = Action> {
    any_field(Some(wanted))
        .prop_flat_map(|dst| constant_for(dst).prop_map(move |value| Action::Load { dst, value }))
}

fn constant_set(kind: OptionKind) -> impl Strategy<Value = ConstantSet> {
    let texts = vec(text().prop_map(Constant::Text), 1..3).boxed();
    let numbers = vec(number(128).prop_map(Constant::Number), 1..3).boxed();
    let constants = match kind {
        OptionKind::Str | OptionKind::Domain | OptionKind::Domains => texts,
        OptionKind::HostId => prop_oneof![texts, numbers].boxed(),
        _ => numbers,
    };
    (constants, any::<bool>()).prop_map(|(constants, curlies)| {
        let in_curlies = curlies || constants.len() > 1;
        ConstantSet { constants, in_curlies }
    })
}

fn options(known: &'static [OptionDef]) -> impl Strategy<Value = Vec<OptionValue>> {
    let one = select(known).prop_flat_map(|option| {
        constant_set(option.kind).prop_map(move |value| OptionValue { option: option.clone(), value })
    });
    vec(one, 0..5)
}

/// Options with one in front that takes that number.
fn options_behind(
    known: &'static [OptionDef],
    first: &'static str,
    value: Number,
) -> impl Strategy<Value = Vec<OptionValue>> {
    options(known).prop_map(move |mut options| {
        let option = known.iter().find(|option| option.name == first).unwrap().clone();
        let value = ConstantSet { constants: vec![Constant::Number(value)], in_curlies: false };
        options.insert(0, OptionValue { option, value });
        options
    })
}

fn address() -> impl Strategy<Value = std::net::IpAddr> {
    any::<std::net::IpAddr>()
}

fn nat() -> impl Strategy<Value = Option<Nat>> {
    let ports = (1..u16::MAX).prop_flat_map(|first| {
        option::of(first + 1..=u16::MAX).prop_map(move |last| PortRange { first, last })
    });
    option::of((address(), option::of(ports)).prop_map(|(ip, ports)| Nat { ip, ports }))
}

fn zone() -> impl Strategy<Value = NatZone> {
    select(vec![NatZone::Dnat, NatZone::Snat])
}

fn balance(local: bool) -> impl Strategy<Value = LoadBalance> {
    let lport = if local { boxed_text().prop_map(Some).boxed() } else { Just(None).boxed() };
    let backend = (lport, address(), prop_oneof![Just(0), any::<u16>()])
        .prop_map(|(lport, ip, port)| Backend { lport, ip, port });
    let flag = option::of(select(vec![SnatFlag::Skip, SnatFlag::Force]));
    let full = (vec(backend, 1..4), option::of(boxed_text()), flag)
        .prop_map(|(backends, hash_fields, flag)| LoadBalance { backends, hash_fields, flag });
    prop_oneof![Just(LoadBalance::default()), full]
}

fn next() -> impl Strategy<Value = Action> {
    let pipeline = select(vec![Pipeline::Ingress, Pipeline::Egress]);
    (pipeline, 0..TABLES).prop_map(|(pipeline, table)| {
        let form = match (pipeline == here().pipeline, table == here().table + 1) {
            (false, _) => NextForm::Pipeline,
            (true, false) => NextForm::Table,
            (true, true) => NextForm::Following,
        };
        Action::Next(Next { pipeline, table, form })
    })
}

/// Those of fields and packets.
fn on_fields() -> BoxedStrategy<Action> {
    let moves = any_field(Some(Writable::Anywhere))
        .prop_flat_map(|dst| as_wide(dst).prop_map(move |src| Action::Move { dst, src }));
    let loads_of_any =
        any_field(None).prop_flat_map(|src| as_wide(src).prop_map(move |dst| Action::Move { dst, src }));
    let exchanges = any_field(Some(Writable::Anywhere))
        .prop_flat_map(|left| as_wide(left).prop_map(move |right| Action::Exchange(left, right)));
    let reply = (select(ReplyField::ALL.to_vec()), any::<u32>()).prop_map(|(field, value)| {
        Action::LoadReply { field, value: (u128::from(value) & ones(field.width())) as u32 }
    });
    let simple = select(vec![
        Action::Output,
        Action::DecTtl,
        Action::CtClear,
        Action::CtSnatToVip,
        Action::MacCacheUse,
        Action::HandleDhcpv6Reply,
        Action::FloodRemote,
        Action::Igmp,
        Action::HandleBfdMsg,
    ]);
    let bits: Vec<fn(FieldRef) -> Action> = vec![
        Action::DnsLookup,
        Action::CheckInPortSec,
        Action::CheckOutPortSec,
        Action::ChkLbHairpin,
        Action::ChkLbHairpinReply,
        Action::ChkLbAff,
        Action::ChkEcmpNhMac,
        Action::ChkEcmpNh,
    ];
    prop_oneof![
        8 => load(Writable::Anywhere),
        8 => moves,
        8 => loads_of_any,
        8 => exchanges,
        1 => reply,
        4 => next(),
        1 => any_field(None).prop_map(Action::Push),
        1 => any_field(Some(Writable::Anywhere)).prop_map(Action::Pop),
        4 => simple,
        4 => (select(bits), bit()).prop_map(|(action, dst)| action(dst)),
        1 => ip4().prop_filter_map("writable", writable).prop_map(Action::CtNwDst),
        1 => ip6().prop_filter_map("writable", writable).prop_map(Action::CtIp6Dst),
        1 => one_of(&["reg0[0..15]", "tcp.src"]).prop_map(Action::CtTpDst),
        1 => one_of(&["reg0[0..7]", "xxreg0[120..127]"]).prop_map(Action::CtProto),
        1 => one_of(&["reg0[0..7]", "xxreg0[120..127]"]).prop_map(Action::CtStateSave),
    ]
    .boxed()
}

fn writable(field: FieldRef) -> Option<FieldRef> {
    (field.symbol.writable == Writable::Anywhere).then_some(field)
}

/// Those of connections.
fn on_connections() -> BoxedStrategy<Action> {
    let masked = |bits: u16| {
        let masked = (any::<u128>(), any::<u128>()).prop_map(move |(value, mask)| {
            let mask = if mask & ones(bits) == 0 { ones(bits) } else { mask & ones(bits) };
            (value & mask, mask)
        });
        prop_oneof![masked, any::<u128>().prop_map(move |value| (value & ones(bits), ones(bits)))]
    };
    let args = (option::of(masked(32)), option::of(masked(128))).prop_filter_map("some", |(mark, label)| {
        let mark = mark.map(|(value, mask)| (value as u32, mask as u32));
        (mark.is_some() || label.is_some()).then_some(Action::CtCommitArgs(CtCommitArgs { mark, label }))
    });
    let members = vec((any::<u16>(), 1..=u16::MAX), 2..5);
    let dst = one_of(&["reg8[16..31]", "reg0", "xxreg1", "tcp.dst"]);
    let chosen = (dst, members, option::of(boxed_text()))
        .prop_map(|(dst, members, hash_fields)| Action::Select(Select { dst, members, hash_fields }));
    prop_oneof![
        vec(load(Writable::InCommit), 0..3).prop_map(Action::CtCommit),
        args,
        option::of(zone()).prop_map(Action::CtNext),
        option::of(zone()).prop_map(Action::CtCommitNat),
        zone().prop_map(Action::CtCommitToZone),
        nat().prop_map(Action::CtDnat),
        nat().prop_map(Action::CtSnat),
        nat().prop_map(Action::CtDnatInCzone),
        nat().prop_map(Action::CtSnatInCzone),
        balance(false).prop_map(Action::CtLb),
        balance(false).prop_map(Action::CtLbMark),
        balance(true).prop_map(Action::CtLbMarkLocal),
        chosen,
    ]
    .boxed()
}

/// Those that look things up or learn them.
fn on_bindings() -> BoxedStrategy<Action> {
    let get = |ip: BoxedStrategy<FieldRef>| (port(), ip).prop_map(|(port, ip)| GetBinding { port, ip });
    let put = |ip: BoxedStrategy<FieldRef>| {
        (port(), ip, mac()).prop_map(|(port, ip, mac)| PutBinding { port, ip, mac })
    };
    let lookup = |ip: BoxedStrategy<FieldRef>| {
        (bit(), port(), ip, mac()).prop_map(|(dst, port, ip, mac)| LookupBinding { dst, port, ip, mac })
    };
    let lookup_ip = |ip: BoxedStrategy<FieldRef>| {
        (bit(), port(), ip).prop_map(|(dst, port, ip)| LookupBindingIp { dst, port, ip })
    };
    let key = || one_of(&["inport", "outport", "reg0"]);
    let get_fdb = (key(), mac()).prop_map(|(dst, mac)| GetFdb { dst, mac });
    let get_remote_fdb = (key(), mac()).prop_map(|(dst, mac)| GetFdb { dst, mac });
    prop_oneof![
        get(ip4().boxed()).prop_map(Action::GetArp),
        get(ip6().boxed()).prop_map(Action::GetNd),
        put(ip4().boxed()).prop_map(Action::PutArp),
        put(ip6().boxed()).prop_map(Action::PutNd),
        lookup(ip4().boxed()).prop_map(Action::LookupArp),
        lookup(ip6().boxed()).prop_map(Action::LookupNd),
        lookup_ip(ip4().boxed()).prop_map(Action::LookupArpIp),
        lookup_ip(ip6().boxed()).prop_map(Action::LookupNdIp),
        (bit(), prop_oneof![ip4(), ip6()]).prop_map(|(dst, ip)| Action::ChkEvpnArp { dst, ip }),
        (port(), mac()).prop_map(|(port, mac)| Action::PutFdb { port, mac }),
        (bit(), port(), mac()).prop_map(|(dst, port, mac)| Action::LookupFdb { dst, port, mac }),
        get_fdb.prop_map(Action::GetFdb),
        get_remote_fdb.prop_map(Action::GetRemoteFdb),
        boxed_text().prop_map(Action::Mirror),
        (boxed_text(), port()).prop_map(|(vport, parent)| Action::BindVport { vport, parent }),
        port().prop_map(Action::HandleSvcCheck),
    ]
    .boxed()
}

/// Those with many arguments.
fn with_arguments() -> BoxedStrategy<Action> {
    let offered = Number { value: 0xc000_0209, mask: None, format: Format::Ipv4 };
    let slla = Number { value: 0x0200_0000_0001, mask: None, format: Format::Ethernet };
    let dhcp = (bit(), options_behind(DHCP_OPTIONS, "offerip", offered));
    // Most values of an advertisement's options are refused, so that only what is always good is made here.
    let stateful = Constant::Text("dhcpv6_stateful".to_owned());
    let advertised = (bit(), Just(slla), text()).prop_map(move |(dst, slla, dnssl)| {
        let values = [
            ("slla", Constant::Number(slla)),
            ("addr_mode", stateful.clone()),
            ("dnssl", Constant::Text(dnssl)),
        ];
        let options = values.map(|(name, constant)| OptionValue {
            option: ND_RA_OPTIONS.iter().find(|option| option.name == name).unwrap().clone(),
            value: ConstantSet { constants: vec![constant], in_curlies: false },
        });
        Action::PutNdRaOpts(PutOptions { dst, options: options.into() })
    });
    let relay = || {
        (bit(), any::<std::net::Ipv4Addr>(), any::<std::net::Ipv4Addr>())
            .prop_map(|(dst, relay, server)| DhcpRelay { dst, relay, server })
    };
    let transport = || select(Transport::ALL.to_vec());
    let affinity = (any::<bool>(), any::<[u128; 2]>(), any::<[u16; 2]>(), transport(), any::<u16>())
        .prop_map(|(v4, [vip, backend], [vip_port, backend_port], proto, timeout)| {
            let address = |bits: u128| -> std::net::IpAddr {
                if v4 {
                    std::net::Ipv4Addr::from_bits(bits as u32).into()
                } else {
                    std::net::Ipv6Addr::from_bits(bits).into()
                }
            };
            Action::CommitLbAff(CommitLbAff {
                vip: (address(vip), vip_port),
                backend: (address(backend), backend_port),
                proto: (vip_port != 0).then_some(proto),
                timeout,
            })
        });
    let group = (any::<bool>(), vec(boxed_text(), 1..4))
        .prop_map(|(liveness, child_ports)| Action::FwdGroup(FwdGroup { liveness, child_ports }));
    let log = (
        option::of(boxed_text()),
        select(Verdict::ALL.to_vec()),
        select(Severity::ALL.to_vec()),
        option::of(boxed_text()),
    )
        .prop_map(|(name, verdict, severity, meter)| Action::Log(Log { name, verdict, severity, meter }));
    let point = prop_oneof![
        any::<u32>().prop_map(ObsPoint::Number),
        Just(ObsPoint::Cookie),
        ip4().prop_map(ObsPoint::Field)
    ];
    let sample = (1..=u16::MAX, any::<u32>(), any::<u8>(), point).prop_map(
        |(probability, collector_set, obs_domain, obs_point)| {
            Action::Sample(Sample { probability, collector_set, obs_domain, obs_point })
        },
    );
    let event = select(vec!["tcp", "udp", "sctp"]).prop_map(|protocol| {
        let event = Event::EmptyLbBackends;
        let option = event.options().iter().find(|option| option.name == "protocol").unwrap().clone();
        let constants = vec![Constant::Text(protocol.to_owned())];
        let value = ConstantSet { constants, in_curlies: false };
        Action::TriggerEvent(TriggerEvent { event, options: vec![OptionValue { option, value }] })
    });
    prop_oneof![
        dhcp.prop_map(|(dst, options)| Action::PutDhcpOpts(PutOptions { dst, options })),
        (bit(), options(DHCPV6_OPTIONS))
            .prop_map(|(dst, options)| Action::PutDhcpv6Opts(PutOptions { dst, options })),
        advertised,
        relay().prop_map(Action::DhcpRelayReqChk),
        relay().prop_map(Action::DhcpRelayRespChk),
        (bit(), any::<u16>()).prop_map(|(dst, bytes)| Action::CheckPktLarger { dst, bytes }),
        (any::<bool>(), transport()).prop_map(|(ipv6, proto)| Action::CommitEcmpNh { ipv6, proto }),
        affinity,
        group,
        (0..=0xf000_u16).prop_map(Action::SetQueue),
        (1..=u64::MAX, any::<u64>()).prop_map(|(rate, burst)| Action::SetMeter { rate, burst }),
        log,
        sample,
        event,
    ]
    .boxed()
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let leaf = prop_oneof![on_fields(), on_connections(), on_bindings(), with_arguments()];
    let nests: Vec<fn(Vec<Action>) -> Action> = vec![
        Action::Clone,
        Action::Arp,
        Action::Icmp4,
        Action::Icmp4Error,
        Action::Icmp6,
        Action::Icmp6Error,
        Action::TcpReset,
        Action::SctpAbort,
        Action::Reject,
        Action::NdNs,
        Action::NdNa,
        Action::NdNaRouter,
    ];
    let action = leaf.prop_recursive(4, 16, 4, move |inner| {
        (select(nests.clone()), vec(inner, 0..4)).prop_map(|(nest, nested)| nest(nested))
    });
    vec(action, 0..6)
}

/// Tokens that could stand somewhere in actions, and some that could not.
const SOUP: &[&str] = &[
    "next",
    "output",
    "drop",
    "clone",
    "arp",
    "ct_commit",
    "ct_lb_mark",
    "reg0",
    "reg0[3]",
    "ip4.src",
    "inport",
    "ct_mark",
    "icmp4.frag_mtu",
    "put_dhcp_opts",
    "offerip",
    "select",
    "log",
    "verdict",
    "sample",
    "trigger_event",
    "backends",
    "hash_fields",
    "event",
    "pipeline",
    "table",
    "values",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ";",
    ";",
    ";",
    ",",
    ":",
    "-",
    "--",
    "..",
    "=",
    "=",
    "==",
    "<->",
    "<",
    "!",
    "&&",
    "$set",
    "@group",
    "^var",
    "\"a\"",
    "\"empty_lb_backends\"",
    "\"",
    "1",
    "0",
    "70000",
    "0xff",
    "1/1",
    "192.0.2.1",
    "192.0.2.0/24",
    "2001:db8::1",
    "02:00:00:00:00:01",
    "/*",
    "*/",
    "//",
    "\n",
    "é",
    "\u{0}",
];

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same(list in actions()) {
        let text = List(&list).to_string();
        let parsed = parse_actions(&text, &here());
        prop_assert!(parsed.is_ok(), "{}", parsed.unwrap_err().render(&text));
        prop_assert_eq!(read(&text).list, list);
    }

    #[test]
    fn token_soup_is_read_or_refused(tokens in vec(select(SOUP), 0..40)) {
        let text = tokens.join(" ");
        match parse_actions(&text, &here()) {
            Ok(actions) => {
                let printed = actions.to_string();
                prop_assert_eq!(read(&printed), actions);
            }
            Err(error) => {
                prop_assert!(text.get(error.span.clone()).is_some(), "{error:?}");
                prop_assert!(!error.render(&text).is_empty());
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        if let Err(error) = parse_actions(&text, &here()) {
            prop_assert!(text.get(error.span).is_some());
        }
    }

    /// A text with one token changed is as good as another, or refused.
    #[test]
    fn damaged_actions_are_read_or_refused(list in actions(), at in any::<prop::sample::Index>(), token in select(SOUP)) {
        let text = List(&list).to_string();
        let cut = text.floor_char_boundary(at.index(text.len()));
        let damaged = format!("{} {token} {}", &text[..cut], &text[cut..]);
        if let Ok(actions) = parse_actions(&damaged, &here()) {
            prop_assert_eq!(read(&actions.to_string()), actions);
        }
    }
}
