//! Frames that the control thread hands to a worker.

use std::sync::atomic::Ordering;

use super::Engine;
use crate::datapath::PortError;
use crate::packet::{PortNo, PortRef};
use crate::worker::device::{Backend, Device};
use crate::worker::mailbox::Request;
use crate::worker::stage::{self, exceeds_mtu};

impl<B: Backend> Engine<B> {
    /// A packet with these bytes in a buffer of a port, and the port's place.
    pub(super) fn packet_for(
        &mut self,
        number: PortNo,
        frame: &[u8],
    ) -> Result<(<B::Device as Device>::Packet, PortRef), PortError> {
        let port = self.device_port(number)?;
        let name = self.known(number).map(|known| known.spec.name.clone()).unwrap_or_default();
        let room = port.slot.device.frame_room();
        if frame.len() > room {
            return Err(PortError::Device(format!(
                "a frame of {} bytes does not fit the buffers of port \"{name}\", which hold {room}; inject a \
                 shorter one, or add the port with a larger `mtu`",
                frame.len()
            )));
        }
        check_length(frame, port.slot.mtu.load(Ordering::Relaxed), &name)?;
        let packet = port.slot.device.packet(frame).ok_or_else(|| {
            PortError::Device(format!(
                "port \"{name}\" has no packet buffer left; try again when the traffic is less"
            ))
        })?;
        Ok((packet, port.slot.at))
    }

    /// Puts a request into the mailbox of a worker.
    pub(super) fn ask(
        &mut self,
        number: u16,
        request: Request<<B::Device as Device>::Packet>,
    ) -> Result<(), PortError> {
        let worker = self.workers.get_mut(usize::from(number)).ok_or(PortError::NoSuchWorker(number))?;
        worker.mailbox.requests.push(request).map_err(|_| PortError::MailboxFull(number))
    }
}

/// Refuses to inject what no port would receive.
fn check_length(frame: &[u8], mtu: u16, name: &str) -> Result<(), PortError> {
    const ETHERNET: usize = stage::ETHERNET as usize;
    let len = frame.len();
    if len < ETHERNET {
        return Err(PortError::Device(format!(
            "a frame of {len} bytes is shorter than an Ethernet header, which has {ETHERNET}; give the whole frame"
        )));
    }
    if exceeds_mtu(frame, mtu) {
        return Err(PortError::Device(format!(
            "a frame of {len} bytes is longer than the MTU {mtu} of port \"{name}\" allows, which is {} and 4 for each \
             VLAN tag; inject a shorter one, or raise the MTU with `millrace port set-mtu {name} MTU`",
            usize::from(mtu) + ETHERNET
        )));
    }
    Ok(())
}
