//! `meter-*`: limits of rate.

use std::collections::BTreeSet;

use super::context::{Call, Context, Syntax, reads, writes};
use super::error::NbctlError;
use super::set;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{Meter, MeterBand, Table};

pub const COMMANDS: &[Syntax] = &[
    writes("meter-add", "NAME drop RATE kbps|pktps [BURST]", (4, 5), &["--fair", "--may-exist"], add),
    writes("meter-del", "[NAME]", (0, 1), &[], delete),
    reads("meter-list", "", (0, 0), &[], list),
];

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let name = call.arg(0);
    let found = context.rows().meter(name).map(|(uuid, row)| (uuid, Meter::clone(row)));
    if found.is_some() && !call.has("--may-exist") {
        let mend = "choose another name, or write --may-exist before the command";
        return Err(NbctlError::exists("meter", name, mend));
    }
    if name.starts_with("__") {
        return Err(NbctlError::value(
            name,
            "is no name for a meter; those with __ in front are taken, choose another",
        ));
    }
    if call.arg(1) != "drop" {
        return Err(NbctlError::value(call.arg(1), "is no action of a meter; write drop"));
    }
    let rate = set::within(call.arg(2), "rate", 1, u32::MAX)?;
    let unit = call.arg(3);
    if !matches!(unit, "kbps" | "pktps") {
        return Err(NbctlError::value(unit, "is no unit of rates; write kbps or pktps"));
    }
    let burst_size = call.arg_if(4).map_or(Ok(0), |burst| set::within(burst, "burst", 0, u32::MAX))?;
    let known = found.as_ref().and_then(|(_, row)| row.bands.first().copied());
    let band = known.unwrap_or_else(|| context.insert(MeterBand::default()));
    context.edit.update(band, |row: &mut MeterBand| {
        "drop".clone_into(&mut row.action);
        (row.rate, row.burst_size) = (rate, burst_size);
    });
    let meter = found.map_or_else(|| context.insert(Meter::default()), |(uuid, _)| uuid);
    context.edit.update(meter, |row: &mut Meter| {
        name.clone_into(&mut row.name);
        unit.clone_into(&mut row.unit);
        row.bands = BTreeSet::from([band]);
        row.fair = if call.has("--fair") { Some(true) } else { row.fair };
    });
    Ok(())
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let is_meant = |row: &Meter| call.arg_if(0).is_none_or(|name| row.name == name);
    let rows = context.rows().iter::<Meter>();
    let gone: Vec<Uuid> = rows.filter(|(_, row)| is_meant(row)).map(|(uuid, _)| uuid).collect();
    gone.into_iter().for_each(|uuid| context.edit.delete(Table::Meter, uuid));
    Ok(())
}

fn list(context: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    let mut meters: Vec<Meter> = context.rows().iter().map(|(_, row)| Meter::clone(row)).collect();
    meters.sort_by(|one, other| one.name.cmp(&other.name));
    for Meter { name, fair, bands, unit, .. } in meters {
        let fair = fair.map_or("", |fair| if fair { " (fair)" } else { " (shared)" });
        context.print(format_args!("{name}:{fair} bands:\n"));
        for (_, MeterBand { action, rate, burst_size, .. }) in context.all(&bands) {
            context.print(format_args!("  {action}: {rate} {unit}"));
            if burst_size > 0 {
                let of = if unit == "kbps" { "kb" } else { "packet" };
                context.print(format_args!(", {burst_size} {of} burst"));
            }
        }
        context.print(format_args!("\n"));
    }
    Ok(())
}
