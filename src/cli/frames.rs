//! Frames to inject: hexadecimal digits and capture files, read one frame at a time.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};

use super::Failure;

/// Where frames come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// One frame, as hexadecimal digits.
    Frame(String),
    /// A capture file.
    File(PathBuf),
}

/// A frame on its way to the switch.
pub(super) struct Frame<'a> {
    /// Its bytes.
    pub data: &'a [u8],
    /// Whether the capture kept less than the frame had.
    pub cut: bool,
}

impl Source {
    /// What a word of the command line means.
    pub fn from_word(word: &str) -> Result<Self, Failure> {
        let path = Path::new(word);
        let captures = ["pcap", "pcapng", "cap"];
        let named_so =
            path.extension().is_some_and(|end| captures.iter().any(|known| end.eq_ignore_ascii_case(known)));
        if named_so || path.exists() {
            return Ok(Source::File(path.to_owned()));
        }
        let digits: String = word.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
        if let Some(wrong) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
            return Err(Failure::Usage(format!(
                "'{wrong}' in \"{}\" is not a hexadecimal digit, and there is no file of that name; write a frame such \
                 as ffffffffffff0200000000010806… or name a capture file",
                shortened(word)
            )));
        }
        if digits.is_empty() || digits.len() % 2 == 1 {
            return Err(Failure::Usage(format!(
                "\"{}\" has {} hexadecimal digits; write two for every byte of the frame",
                shortened(word),
                digits.len()
            )));
        }
        Ok(Source::Frame(digits.to_ascii_lowercase()))
    }
}

fn shortened(word: &str) -> String {
    const MOST: usize = 40;
    match word.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", word.get(..end).unwrap_or(word)),
        None => word.to_owned(),
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Gives every frame of a capture file to `take`, in order.
pub(super) fn read_capture(
    path: &Path,
    mut take: impl FnMut(Frame<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let cannot = |cause: String| {
        Failure::Usage(format!(
            "cannot read {}: {cause}; give a capture file, pcap or pcapng",
            path.display()
        ))
    };
    let mut file = File::open(path).map_err(|error| cannot(error.to_string()))?;
    let mut magic = [0; 4];
    file.read_exact(&mut magic).map_err(|_| cannot("it is no capture file".to_owned()))?;
    file.rewind().map_err(|error| cannot(error.to_string()))?;
    if magic == [0x0a, 0x0d, 0x0d, 0x0a] {
        read_pcapng(file, &cannot, &mut take)
    } else {
        read_pcap(file, &cannot, &mut take)
    }
}

type Take<'a> = &'a mut dyn FnMut(Frame<'_>) -> Result<(), Failure>;

fn read_pcap(file: File, cannot: &dyn Fn(String) -> Failure, take: Take<'_>) -> Result<(), Failure> {
    let mut reader = PcapReader::new(file).map_err(|_| cannot("it is no capture file".to_owned()))?;
    ethernet(reader.header().datalink).map_err(cannot)?;
    let mut number = 0;
    while let Some(packet) = reader.next_packet() {
        number += 1;
        let packet = packet.map_err(|error| cannot(broken(number, &error)))?;
        take(Frame { data: &packet.data, cut: packet.orig_len as usize > packet.data.len() })?;
    }
    Ok(())
}

fn read_pcapng(file: File, cannot: &dyn Fn(String) -> Failure, take: Take<'_>) -> Result<(), Failure> {
    let mut reader = PcapNgReader::new(file).map_err(|error| cannot(broken(0, &error)))?;
    let mut number = 0;
    while let Some(block) = reader.next_block() {
        let block = block.map_err(|error| cannot(broken(number + 1, &error)))?.into_owned();
        let (interface, original, data) = match &block {
            Block::EnhancedPacket(packet) => {
                (packet.interface_id as usize, packet.original_len, &packet.data)
            }
            Block::SimplePacket(packet) => (0, packet.original_len, &packet.data),
            Block::Packet(packet) => (usize::from(packet.interface_id), packet.original_len, &packet.data),
            _ => continue,
        };
        number += 1;
        let from = reader.interfaces().get(interface);
        let link = from.map(|from| from.linktype).ok_or_else(|| {
            cannot(format!("frame {number} names an interface that the file does not describe"))
        })?;
        ethernet(link).map_err(cannot)?;
        take(Frame { data, cut: original as usize > data.len() })?;
    }
    Ok(())
}

fn broken(number: u64, error: &pcap_file::PcapError) -> String {
    match error {
        pcap_file::PcapError::IoError(cause) => format!("frame {number} is incomplete ({cause})"),
        other => format!("frame {number} is broken ({other})"),
    }
}

fn ethernet(link: DataLink) -> Result<(), String> {
    match link {
        DataLink::ETHERNET => Ok(()),
        other => Err(format!("it holds {other:?} and not Ethernet frames")),
    }
}
