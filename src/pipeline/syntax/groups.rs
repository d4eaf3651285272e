//! Groups, as `ovs-ofctl` reads and prints them.

use std::fmt::Write;

use super::actions::{ActionContext, parse};
use super::cursor::{Item, Items, Piece, Value};
use super::error::{Problem, SyntaxError, nearest, shorten};
use super::flow::{MAX_TEXT, text_too_long};
use super::matcher::field_by_name;
use super::objects::group_id;
use super::print::{print_actions, set_field_name};
use super::value::{any_value, number};
use super::{Match, PortNames};
use crate::packet::Field;
use crate::pipeline::objectmod::{GroupMod, Place, Which};
use crate::pipeline::objects::group::{
    BucketSpec, Group, GroupKind, GroupSpec, MAX_GROUP, Method, Selection,
};

/// What is to be done with the group of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupCommand {
    /// `add-group`
    Add,
    /// `mod-group`, with `--may-create` or without.
    Modify {
        /// Whether a group is added that is not there.
        may_create: bool,
    },
    /// `insert-buckets`
    Insert,
    /// `remove-buckets`
    Remove,
    /// `del-groups`
    Delete,
}

const BUCKET: &str = "bucket=";

/// Reads what a command says of a group.
pub fn parse_group(
    text: &str,
    ports: &dyn PortNames,
    command: GroupCommand,
) -> Result<GroupMod, SyntaxError> {
    if text.len() > MAX_TEXT {
        return Err(text_too_long(text));
    }
    let all = Piece::all(text);
    let (head, tail) = match text.find(BUCKET) {
        Some(at) => all.split_at(at),
        None => (all, all.end()),
    };
    let mut said = Said::default();
    let mut items = Items::of(head);
    while let Some(item) = items.next_item()? {
        said.item(&item)?;
    }
    let buckets = buckets(tail, ports)?;
    said.into_mod(all, tail, buckets, command)
}

/// Reads which group is meant: `group_id=7`, `7`; `all` or nothing for all.
pub fn parse_group_id(text: &str) -> Result<Option<u32>, SyntaxError> {
    let whole = Piece::all(text).trim();
    let id = whole.strip_prefix("group_id=").unwrap_or(whole);
    if matches!(id.text, "" | "all") { Ok(None) } else { group_id(id).map(Some) }
}

/// What stands before the buckets.
#[derive(Default)]
struct Said<'a> {
    /// None of it means all.
    id: Option<(Piece<'a>, Option<u32>)>,
    kind: Option<(Piece<'a>, GroupKind)>,
    method: Option<Piece<'a>>,
    param: Option<(Piece<'a>, u64)>,
    fields: Option<(Piece<'a>, Vec<(Field, u128)>)>,
    bucket: Option<Piece<'a>>,
}

impl<'a> Said<'a> {
    fn item(&mut self, item: &Item<'a>) -> Result<(), SyntaxError> {
        match item.key.text {
            "group_id" => {
                let piece = item.required("group_id=NUMBER")?;
                let id = if piece.text == "all" { None } else { Some(group_id(piece)?) };
                self.id = Some((item.whole, id));
            }
            "type" => {
                let piece = item.required("type=all, type=select or type=indirect")?;
                let kind = match piece.text {
                    "all" => GroupKind::All,
                    "indirect" => GroupKind::Indirect,
                    "select" => GroupKind::Select(Selection::default()),
                    "ff" | "fast_failover" => {
                        return Err(SyntaxError::not_yet(piece, "a group that fails over"));
                    }
                    _ => return Err(SyntaxError::value(piece, "type", "all, select or indirect")),
                };
                self.kind = Some((item.whole, kind));
            }
            "selection_method" => self.method = Some(item.required("selection_method=hash or dp_hash")?),
            "selection_method_param" => {
                let piece = item.required("selection_method_param=NUMBER")?;
                self.param = Some((item.whole, number(piece, "selection_method_param", 64)? as u64));
            }
            "fields" => self.fields = Some((item.whole, fields(item)?)),
            "command_bucket_id" => {
                self.bucket = Some(item.required("command_bucket_id=NUMBER, first, last or all")?)
            }
            word => {
                let expected = vec![
                    "group_id",
                    "type",
                    "selection_method",
                    "selection_method_param",
                    "fields",
                    "bucket",
                ];
                let near = nearest(word, expected.iter().copied());
                let problem =
                    Problem::Unknown { what: "part of a group", found: shorten(word), near, expected };
                return Err(SyntaxError::new(item.key, problem));
            }
        }
        Ok(())
    }

    fn into_mod(
        mut self,
        all: Piece<'a>,
        tail: Piece<'a>,
        buckets: Vec<BucketSpec>,
        command: GroupCommand,
    ) -> Result<GroupMod, SyntaxError> {
        let end = all.end();
        let id = match (self.id, command) {
            (id, GroupCommand::Delete) => {
                self.refuse_but_id(tail)?;
                return Ok(GroupMod::Delete(id.and_then(|(_, id)| id)));
            }
            (Some((_, Some(id))), _) => id,
            (Some((whole, None)), _) => {
                return Err(SyntaxError::refused(
                    whole,
                    "only del-groups is about all groups; give a number",
                ));
            }
            (None, _) => return Err(SyntaxError::missing(end, "the group is", "group_id=NUMBER")),
        };
        if matches!(command, GroupCommand::Insert | GroupCommand::Remove) {
            let word = self.bucket.take();
            let mend = "command_bucket_id=NUMBER, first, last or, to remove, all";
            let word = word.ok_or_else(|| SyntaxError::missing(end, "the bucket is", mend))?;
            if command == GroupCommand::Remove {
                self.refuse_but_id(tail)?;
                return Ok(GroupMod::Remove { id, which: which(word)? });
            }
            self.refuse_but_id(end)?;
            return Ok(GroupMod::Insert { id, at: place(word)?, buckets });
        }
        if let Some(word) = self.bucket {
            let sentence = "command_bucket_id is for insert-buckets and remove-buckets; leave it out";
            return Err(SyntaxError::refused(word, sentence));
        }
        let kind = self.take_kind(end)?;
        let spec = GroupSpec { id, kind, buckets };
        Ok(match command {
            GroupCommand::Modify { may_create } => GroupMod::Modify { spec, may_create },
            _ => GroupMod::Add(spec),
        })
    }

    fn take_kind(&mut self, end: Piece<'a>) -> Result<GroupKind, SyntaxError> {
        let kind = self.kind.take().map(|(_, kind)| kind);
        let mut kind = kind.ok_or_else(|| {
            SyntaxError::missing(end, "the type is", "type=all, type=select or type=indirect")
        })?;
        let GroupKind::Select(selection) = &mut kind else {
            let odd = self.method.or(self.param.map(|(whole, _)| whole));
            return match odd.or(self.fields.take().map(|(whole, _)| whole)) {
                Some(odd) => {
                    Err(SyntaxError::refused(odd, "only a group of type=select selects; leave this out"))
                }
                None => Ok(kind),
            };
        };
        selection.method = match self.method {
            None => None,
            Some(Piece { text: "hash", .. }) => Some(Method::Hash),
            Some(Piece { text: "dp_hash", .. }) => Some(Method::DpHash),
            Some(other) => return Err(SyntaxError::value(other, "selection_method", "hash or dp_hash")),
        };
        if let Some((whole, param)) = self.param {
            if selection.method.is_none() {
                let sentence = "selection_method_param is for a selection_method; give that too";
                return Err(SyntaxError::refused(whole, sentence));
            }
            selection.param = param;
        }
        if let Some((whole, fields)) = self.fields.take() {
            if selection.method != Some(Method::Hash) {
                let sentence =
                    "fields are hashed by selection_method=hash alone; give that or leave them out";
                return Err(SyntaxError::refused(whole, sentence));
            }
            selection.fields = fields;
        }
        Ok(kind)
    }

    /// Refuses what stands beside the group's number, and buckets.
    fn refuse_but_id(&mut self, tail: Piece<'a>) -> Result<(), SyntaxError> {
        let kind = self.kind.take().map(|(whole, _)| whole).or(self.method).or(self.bucket);
        let more = self.param.map(|(whole, _)| whole).or(self.fields.take().map(|(whole, _)| whole));
        let odd = kind.or(more).or(Some(tail).filter(|tail| !tail.text.is_empty()));
        odd.map_or(Ok(()), |odd| {
            Err(SyntaxError::refused(odd, "this command takes the group's number alone; leave this out"))
        })
    }
}

fn place(word: Piece<'_>) -> Result<Place, SyntaxError> {
    match word.text {
        "first" => Ok(Place::First),
        "last" => Ok(Place::Last),
        _ => bucket_id(word).map(Place::Behind),
    }
}

fn which(word: Piece<'_>) -> Result<Which, SyntaxError> {
    match word.text {
        "first" => Ok(Which::First),
        "last" => Ok(Which::Last),
        "all" => Ok(Which::All),
        _ => bucket_id(word).map(Which::Bucket),
    }
}

fn bucket_id(piece: Piece<'_>) -> Result<u32, SyntaxError> {
    match number(piece, "the number of a bucket", 32)? as u32 {
        id if id <= MAX_GROUP => Ok(id),
        _ => Err(super::value::too_large(piece, "the number of a bucket", MAX_GROUP.into())),
    }
}

/// `fields(ip_src,ip_dst=255.255.0.0)`: fields with the bits that count.
fn fields(item: &Item<'_>) -> Result<Vec<(Field, u128)>, SyntaxError> {
    const EXAMPLE: &str = "fields(ip_src,ip_dst)";
    let list = match item.value {
        Value::Parens(list) | Value::Plain(list) if !list.text.trim().is_empty() => list,
        _ => item.required(EXAMPLE)?,
    };
    let mut found = Vec::new();
    let mut items = Items::of(list);
    while let Some(item) = items.next_item()? {
        let field = field_by_name(item.key, &Match::default())?;
        let mask = match item.value {
            Value::None => field.all_ones(),
            // Written as a value of the field.
            _ => any_value(field, item.key.text, item.required("FIELD=MASK")?, &())?.0,
        };
        if mask == 0 {
            return Err(SyntaxError::refused(
                item.whole,
                "a mask of zero hashes nothing; leave the field out",
            ));
        }
        found.push((field, mask));
    }
    Ok(found)
}

fn buckets(tail: Piece<'_>, ports: &dyn PortNames) -> Result<Vec<BucketSpec>, SyntaxError> {
    let mut found = Vec::new();
    let mut rest = tail;
    while let Some(bucket) = rest.strip_prefix(BUCKET) {
        let (own, next) = bucket.split_at(bucket.text.find(BUCKET).unwrap_or(bucket.text.len()));
        found.push(one_bucket(own, ports)?);
        rest = next;
    }
    Ok(found)
}

/// Options, then actions, with `actions=` in front or without.
fn one_bucket(own: Piece<'_>, ports: &dyn PortNames) -> Result<BucketSpec, SyntaxError> {
    let (mut id, mut weight) = (None, None);
    let mut items = Items::of(own);
    let actions = loop {
        if let Some(actions) = items.take_actions() {
            break actions;
        }
        let Some(item) = items.next_item()? else { break own.end() };
        match item.key.text {
            "bucket_id" => id = Some(bucket_id(item.required("bucket_id:NUMBER")?)?),
            "weight" => weight = Some(number(item.required("weight:NUMBER")?, "weight", 16)? as u16),
            "watch_port" | "watch_group" => {
                return Err(SyntaxError::not_yet(item.whole, format!("{} of a bucket", item.key.text)));
            }
            _ => break own.split_at(item.key.at - own.at).1,
        }
    };
    let list = actions.text.trim_end_matches(|c: char| c == ',' || c.is_ascii_whitespace());
    let list = Piece { text: list, at: actions.at };
    let parsed = parse(list, ports, ActionContext { matcher: None, table: None })?;
    super::objects::check_bucket(&parsed, list)?;
    Ok(BucketSpec { id, weight, actions: parsed.into() })
}

/// A group as `ovs-ofctl dump-groups` prints it, without the space in front and the line's end.
pub fn print_group(group: &Group, ports: &dyn PortNames) -> String {
    let mut out = format!("group_id={},type=", group.id);
    match &group.kind {
        GroupKind::All => out.push_str("all"),
        GroupKind::Indirect => out.push_str("indirect"),
        GroupKind::Select(selection) => {
            out.push_str("select");
            print_selection(&mut out, selection);
        }
    }
    for bucket in &group.buckets {
        // Writing to a text does not fail.
        let _ = write!(out, ",bucket=bucket_id:{}", bucket.id);
        if let Some(weight) = bucket.weight.filter(|weight| *weight != 1) {
            let _ = write!(out, ",weight:{weight}");
        }
        let _ = write!(out, ",actions={}", print_actions(&bucket.actions, ports));
    }
    out
}

fn print_selection(out: &mut String, selection: &Selection) {
    match selection.method {
        None => return,
        Some(Method::Hash) => out.push_str(",selection_method=hash"),
        Some(Method::DpHash) => out.push_str(",selection_method=dp_hash"),
    }
    if selection.param != 0 {
        let _ = write!(out, ",selection_method_param={}", selection.param);
    }
    let field = |(field, mask): &(Field, u128)| {
        let name = set_field_name(*field);
        if *mask == field.all_ones() {
            return name.to_owned();
        }
        format!("{name}={}", super::print::print_value(*field, *mask))
    };
    match &selection.fields[..] {
        [] => {}
        [one] if one.1 == one.0.all_ones() => {
            let _ = write!(out, ",fields={}", field(one));
        }
        many => {
            let _ = write!(out, ",fields({})", many.iter().map(field).collect::<Vec<_>>().join(","));
        }
    }
}
