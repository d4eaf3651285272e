//! Groups and meters.

use std::sync::Arc;
use std::time::Instant;

use crate::pipeline::objectmod::{GroupMod, MeterMod};
use crate::pipeline::stats::FlowStats;
use crate::pipeline::syntax::{
    GroupCommand, parse_group, parse_group_id, parse_meter, parse_meter_id, print_group, print_meter,
};
use crate::pipeline::{Batch, Tables};

/// The group that a text makes, printed.
fn group(text: &str) -> String {
    let change =
        parse_group(text, &(), GroupCommand::Add).unwrap_or_else(|error| panic!("{}", error.render(text)));
    let stats = FlowStats::new(0);
    let mut batch = Batch::new(&Tables::default(), &stats, Instant::now());
    batch.apply_group(&change).or_else(|_| batch.apply_lowered_group(&change)).unwrap();
    let group = Arc::clone(batch.tables().objects().groups().next().unwrap());
    print_group(&group, &())
}

/// What was given to ovs-ofctl 3.1, and what dump-groups showed then.
const GROUPS: &[(&str, &str)] = &[
    (
        "group_id=1,type=select,bucket=weight:100,actions=output:1,bucket=bucket_id:7,output:2",
        "group_id=1,type=select,bucket=bucket_id:0,weight:100,actions=output:1,bucket=bucket_id:7,actions=output:2",
    ),
    (
        "group_id=2,type=all,bucket=output:1,bucket=actions=set_field:5->reg0,resubmit(,3)",
        "group_id=2,type=all,bucket=bucket_id:0,actions=output:1,bucket=bucket_id:1,\
         actions=set_field:0x5->reg0,resubmit(,3)",
    ),
    (
        "group_id=3 type=indirect bucket=actions=output:1",
        "group_id=3,type=indirect,bucket=bucket_id:0,actions=output:1",
    ),
    (
        "group_id=4,type=select,selection_method=hash,fields(ip_src,ip_dst=255.255.0.0,tcp_dst),\
         selection_method_param=77,bucket=weight:0,output:1,bucket=drop",
        "group_id=4,type=select,selection_method=hash,selection_method_param=77,\
         fields(ip_src,ip_dst=255.255.0.0,tcp_dst),bucket=bucket_id:0,weight:0,actions=output:1,bucket=bucket_id:1,\
         actions=drop",
    ),
    ("group_id=6,type=all", "group_id=6,type=all"),
    (
        "group_id=4294967040,type=all,bucket=output:1",
        "group_id=4294967040,type=all,bucket=bucket_id:0,actions=output:1",
    ),
    (
        "group_id=1,type=select,selection_method=hash,fields=ip_src,bucket=weight:1,output:1",
        "group_id=1,type=select,selection_method=hash,fields=ip_src,bucket=bucket_id:0,actions=output:1",
    ),
    (
        "group_id=13,type=select,selection_method=dp_hash,selection_method_param=0x100000000,bucket=output:1",
        "group_id=13,type=select,selection_method=dp_hash,selection_method_param=4294967296,bucket=bucket_id:0,\
         actions=output:1",
    ),
    ("group_id=12,type=all,bucket=group:77", "group_id=12,type=all,bucket=bucket_id:0,actions=group:77"),
];

#[test]
fn groups_are_printed_as_ovs_prints_them_and_read_back() {
    for (given, printed) in GROUPS {
        assert_eq!(group(given), *printed, "of {given}");
        assert_eq!(group(printed), *printed);
    }
}

/// Groups of real chassis, but for those that need connection tracking.
#[test]
fn groups_of_ovn_come_back_as_they_were() {
    let line = "group_id=3,type=select,selection_method=dp_hash,selection_method_param=4294967296,\
                bucket=bucket_id:0,weight:100,actions=set_field:0x1000000000000/0xffff000000000000->xreg4,resubmit(,22),\
                bucket=bucket_id:1,weight:100,actions=set_field:0x2000000000000/0xffff000000000000->xreg4,resubmit(,22)";
    assert_eq!(group(line), line);
}

#[test]
fn mistakes_in_groups_are_explained_and_pointed_at() {
    let add = GroupCommand::Add;
    let cases = [
        (add, "type=all,bucket=output:1", "", "the group is missing; write group_id=NUMBER"),
        (
            add,
            "group_id=1,bucket=output:1",
            "",
            "the type is missing; write type=all, type=select or type=indirect",
        ),
        (
            add,
            "group_id=1,type=foo",
            "foo",
            "\"foo\" is not a value of type; expected all, select or indirect",
        ),
        (add, "group_id=1,type=ff,bucket=output:1", "ff", "a group that fails over is not supported yet"),
        (
            add,
            "group_id=4294967041,type=all",
            "4294967041",
            "4294967041 is too large for the number of a group, whose greatest value is 4294967040",
        ),
        (
            add,
            "group_id=1,type=all,selection_method=hash",
            "hash",
            "only a group of type=select selects; leave this out",
        ),
        (
            add,
            "group_id=1,type=select,fields(ip_src),bucket=output:1",
            "fields(ip_src)",
            "fields are hashed by selection_method=hash alone; give that or leave them out",
        ),
        (
            add,
            "group_id=1,type=select,selection_method=foo",
            "foo",
            "\"foo\" is not a value of selection_method; expected hash or dp_hash",
        ),
        (
            add,
            "group_id=1,type=all,bucket=outptu:1",
            "outptu",
            "unknown action \"outptu\"; did you mean \"output\"?",
        ),
        (
            add,
            "group_id=1,type=select,bucket=watch_port:1,output:1",
            "watch_port:1",
            "watch_port of a bucket is not supported yet",
        ),
        (
            add,
            "group_id=1,type=all,bucket=goto_table:3",
            "goto_table:3",
            "conjunction, goto_table and write_metadata are for flows; use resubmit and set_field in a bucket",
        ),
        (add, "group_id=all,type=all", "group_id=all", "only del-groups is about all groups; give a number"),
        (
            GroupCommand::Insert,
            "group_id=1,bucket=output:1",
            "",
            "the bucket is missing; write command_bucket_id=NUMBER, first, last or, to remove, all",
        ),
        (
            GroupCommand::Delete,
            "group_id=1,type=all",
            "type=all",
            "this command takes the group's number alone; leave this out",
        ),
        (
            add,
            "group=1,type=all",
            "group",
            "unknown part of a group \"group\"; expected one of group_id, type, \
            selection_method, selection_method_param, fields, bucket",
        ),
    ];
    for (command, text, blamed, sentence) in cases {
        let error = parse_group(text, &(), command).expect_err(text);
        assert_eq!((error.to_string().as_str(), &text[error.span.clone()]), (sentence, blamed), "{text}");
    }
    assert_eq!(parse_group("group_id=all", &(), GroupCommand::Delete), Ok(GroupMod::Delete(None)));
    let of = |text: &str| parse_group_id(text).ok();
    assert_eq!(
        [of(""), of("all"), of("7"), of("group_id=7"), of("x")],
        [Some(None), Some(None), Some(Some(7)), Some(Some(7)), None]
    );
}

/// What was given to ovs-ofctl 3.1, and what dump-meters showed then.
const METERS: &[(&str, &str)] = &[
    (
        "meter=1,pktps,burst,stats,bands=type=drop,rate=100,burst_size=10",
        "meter=1 pktps burst stats bands=\ntype=drop rate=100 burst_size=10\n",
    ),
    ("meter=2 kbps bands=type=drop rate=1000", "meter=2 kbps bands=\ntype=drop rate=1000\n"),
    ("meter=10,kbps,band=type=drop,rate=5", "meter=10 kbps bands=\ntype=drop rate=5\n"),
    (
        "meter=11,kbps,bands=type=drop,rate=5,type=drop,rate=9",
        "meter=11 kbps bands=\ntype=drop rate=5\ntype=drop rate=9\n",
    ),
];

#[test]
fn meters_are_printed_as_ovs_prints_them_and_read_back() {
    for (given, printed) in METERS {
        let read = |text: &str| parse_meter(text).unwrap_or_else(|error| panic!("{}", error.render(text)));
        let spec = read(given);
        assert_eq!(print_meter(&spec), *printed);
        assert_eq!(read(printed), spec);
        let stats = FlowStats::new(0);
        let mut batch = Batch::new(&Tables::default(), &stats, Instant::now());
        assert_eq!(batch.apply_meter(&MeterMod::Add(spec)), Ok(()));
    }
}

#[test]
fn mistakes_in_meters_are_explained_and_pointed_at() {
    let cases = [
        ("meter=4,bands=type=drop,rate=5", "", "the unit is missing; write kbps or pktps"),
        ("kbps,bands=type=drop,rate=5", "", "the meter is missing; write meter=NUMBER"),
        ("meter=6,kbps", "", "the bands are missing; write bands=type=drop,rate=NUMBER"),
        (
            "meter=6,kbps,pktps,bands=type=drop,rate=5",
            "pktps",
            "a meter counts either in kbps or in pktps; leave one out",
        ),
        ("meter=6,kbps,bands=rate=5", "rate=5", "the type of the band is missing; write type=drop before it"),
        ("meter=6,kbps,bands=type=drop,rate=0", "0", "rate is 0, so that nothing passes; give at least 1"),
        (
            "meter=6,kbps,burst,bands=type=drop,rate=5,burst_size=0",
            "0",
            "burst_size is 0, so that nothing passes; give at least 1",
        ),
        (
            "meter=6,kbps,bands=type=drop",
            "type=drop",
            "the rate of the band is missing; write rate=NUMBER, at least 1",
        ),
        (
            "meter=6,kbps,burst,bands=type=drop,rate=5",
            "type=drop",
            "the burst of the band is missing; write burst_size=NUMBER, at least 1, or leave out the flag burst",
        ),
        (
            "meter=6,kbps,bands=type=drop,rate=5,burst_size=1",
            "burst_size=1",
            "burst_size counts only with the flag burst before the bands; add that",
        ),
        (
            "meter=6,kbps,bands=type=dscp_remark,rate=5",
            "dscp_remark",
            "a band that changes the DSCP is not supported yet",
        ),
        (
            "meter=0,kbps,bands=type=drop,rate=5",
            "0",
            "\"0\" is not a value of the number of a meter; expected a number from 1",
        ),
    ];
    for (text, blamed, sentence) in cases {
        let error = parse_meter(text).expect_err(text);
        assert_eq!((error.to_string().as_str(), &text[error.span.clone()]), (sentence, blamed), "{text}");
    }
    let of = |text: &str| parse_meter_id(text).ok();
    assert_eq!(
        [of("meter=all"), of("3"), of("meter=3"), of("0")],
        [Some(None), Some(Some(3)), Some(Some(3)), None]
    );
}
