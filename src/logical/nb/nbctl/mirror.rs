//! `mirror-*`: copies of packets to elsewhere.

use super::address::{self, Network};
use super::context::{Call, Context, Syntax, reads, writes};
use super::error::NbctlError;
use super::set;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{Mirror, Table};

pub const COMMANDS: &[Syntax] = &[
    writes("mirror-add", "NAME gre|erspan INDEX DIRECTION IP", (5, 5), &["--may-exist"], add),
    writes("mirror-del", "[NAME]", (0, 1), &[], delete),
    reads("mirror-list", "", (0, 0), &[], list),
];

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let name = call.arg(0);
    if context.rows().mirror(name).is_some() {
        return Err(NbctlError::exists("mirror", name, "choose another name, or delete it first"));
    }
    // The first letter is enough.
    let kind = match call.arg(1).chars().next() {
        Some('g') => "gre",
        Some('e') => "erspan",
        _ => return Err(NbctlError::value(call.arg(1), "is no type of mirrors; write gre or erspan")),
    };
    let index = address::whole_number(call.arg(2));
    let index = index.ok_or_else(|| NbctlError::value(call.arg(2), "is no index; write a whole number"))?;
    let filter = set::direction(call.arg(3))?;
    let sink = call.arg(4);
    if Network::host(sink).is_none() {
        return Err(NbctlError::value(sink, "is no IP address that packets could be sent to"));
    }
    context.insert(Mirror {
        filter: filter.to_owned(),
        index,
        name: name.to_owned(),
        sink: sink.to_owned(),
        kind: kind.to_owned(),
        ..Mirror::default()
    });
    Ok(())
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let is_meant = |row: &Mirror| call.arg_if(0).is_none_or(|name| row.name == name);
    let rows = context.rows().iter::<Mirror>();
    let gone: Vec<Uuid> = rows.filter(|(_, row)| is_meant(row)).map(|(uuid, _)| uuid).collect();
    gone.into_iter().for_each(|uuid| context.edit.delete(Table::Mirror, uuid));
    Ok(())
}

fn list(context: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    let mut mirrors: Vec<Mirror> = context.rows().iter().map(|(_, row)| Mirror::clone(row)).collect();
    mirrors.sort_by(|one, other| one.name.cmp(&other.name));
    for Mirror { name, kind, sink, filter, index, .. } in mirrors {
        context.print(format_args!(
            "{name}:\n  Type     :  {kind}\n  Sink     :  {sink}\n  Filter   :  {filter}\n  Index/Key:  {index}\n\n"
        ));
    }
    Ok(())
}
