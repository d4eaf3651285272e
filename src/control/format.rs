//! Text for people: aligned columns, durations, speeds.

use std::fmt::{self, Write};
use std::time::Duration;

/// Rows in columns as wide as their widest cell. A column whose head begins with `>` is aligned to the right.
pub fn columns(f: &mut fmt::Formatter<'_>, head: &[&str], rows: &[Vec<String>]) -> fmt::Result {
    let mut widths: Vec<usize> =
        head.iter().map(|cell| cell.trim_start_matches('>').chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let names: Vec<String> = head.iter().map(|cell| cell.trim_start_matches('>').to_owned()).collect();
    let names = (!names.iter().all(String::is_empty)).then_some(&names);
    for row in names.into_iter().chain(rows) {
        let mut line = String::new();
        for ((cell, width), head) in row.iter().zip(&widths).zip(head) {
            if head.starts_with('>') {
                write!(line, "{cell:>width$}  ")?;
            } else {
                write!(line, "{cell:<width$}  ")?;
            }
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Days, hours, minutes and seconds, as far as there are any.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes, rest) =
        (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h {minutes} min"),
    }
}

/// A link's state in a word or two.
pub fn link(up: bool, mbps: u32, full_duplex: bool) -> String {
    let duplex = if full_duplex { "" } else { " half" };
    match (up, mbps) {
        (false, _) => "down".to_owned(),
        (true, 0 | u32::MAX) => "up".to_owned(),
        (true, mbps) if mbps >= 1000 && mbps % 1000 == 0 => format!("up {}G{duplex}", mbps / 1000),
        (true, mbps) => format!("up {mbps}M{duplex}"),
    }
}

/// "1 packet", "2 packets".
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Bytes in rows of sixteen with their offsets.
pub fn hex_dump(f: &mut impl Write, data: &[u8]) -> fmt::Result {
    for (row, offset) in data.chunks(16).zip((0..).step_by(16)) {
        write!(f, "{offset:08x} ")?;
        for byte in row {
            write!(f, " {byte:02x}")?;
        }
        f.write_char('\n')?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_links() {
        assert_eq!(duration(Duration::from_secs(59)), "59 s");
        assert_eq!(duration(Duration::from_secs(61)), "1 min 1 s");
        assert_eq!(duration(Duration::from_secs(7261)), "2 h 1 min");
        assert_eq!(duration(Duration::from_secs(90_061)), "1 d 1 h 1 min");
        assert_eq!(link(true, 10_000, true), "up 10G");
        assert_eq!(link(true, 2500, false), "up 2500M half");
        assert_eq!(link(true, 0, true), "up");
        assert_eq!(link(false, 10_000, true), "down");
        assert_eq!(count(1, "packet"), "1 packet");
        assert_eq!(count(0, "packet"), "0 packets");
    }

    #[test]
    fn columns_line_up() {
        struct Sample;
        impl fmt::Display for Sample {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
                columns(f, &["name", ">packets"], &[row(["p1", "7"]), row(["longest", "123456789"])])
            }
        }
        assert_eq!(Sample.to_string(), "name       packets\np1               7\nlongest  123456789\n");
    }
}
