//! What concerns a database server, which does not exist here: rows of a database that was loaded are shown, and nothing
//! can be set up.

use super::context::{Call, Context, MANY, Syntax, reads, writes};
use super::error::NbctlError;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{Connection, NbGlobal, Ssl, Table};

pub const COMMANDS: &[Syntax] = &[
    reads("get-connection", "", (0, 0), &[], connections),
    writes("del-connection", "", (0, 0), &[], delete_connections),
    writes("set-connection", "TARGET...", (1, MANY), &["--inactivity-probe="], |_, _| {
        Err(NbctlError::NoServer("set-connection"))
    }),
    reads("get-ssl", "", (0, 0), &[], certificates),
    writes("del-ssl", "", (0, 0), &[], delete_certificates),
    writes(
        "set-ssl",
        "PRIVATE-KEY CERTIFICATE CA-CERT [PROTOCOLS [CIPHERS]]",
        (3, 5),
        &["--bootstrap"],
        |_, _| Err(NbctlError::NoServer("set-ssl")),
    ),
];

fn connections(context: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    let rows = context.rows().iter::<Connection>();
    let mut targets: Vec<String> = rows.map(|(_, row)| row.target.clone()).collect();
    targets.sort();
    targets.iter().for_each(|target| context.print(format_args!("{target}\n")));
    Ok(())
}

/// Changes the row of the whole database, if there is one.
fn change(context: &mut Context, change: impl FnOnce(&mut NbGlobal)) {
    let global = context.rows().global().map(|(uuid, _)| uuid);
    if let Some(uuid) = global {
        context.edit.update(uuid, change);
    }
}

fn delete_connections(context: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    let gone: Vec<Uuid> = context.rows().iter::<Connection>().map(|(uuid, _)| uuid).collect();
    gone.into_iter().for_each(|uuid| context.edit.delete(Table::Connection, uuid));
    change(context, |row| row.connections.clear());
    Ok(())
}

fn certificates(context: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    let row = context.rows().iter::<Ssl>().next().map(|(_, row)| Ssl::clone(row));
    if let Some(Ssl { private_key, certificate, ca_cert, bootstrap_ca_cert, .. }) = row {
        context.print(format_args!(
            "Private key: {private_key}\nCertificate: {certificate}\nCA Certificate: {ca_cert}\n\
             Bootstrap: {bootstrap_ca_cert}\n"
        ));
    }
    Ok(())
}

fn delete_certificates(context: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    let gone = context.rows().iter::<Ssl>().next().map(|(uuid, _)| uuid);
    if let Some(uuid) = gone {
        context.edit.delete(Table::Ssl, uuid);
        change(context, |row| row.ssl = None);
    }
    Ok(())
}
