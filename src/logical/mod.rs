//! OVN's logical networks as OVN writes them: the match and action languages of logical flows, Southbound rows, and
//! the tracer that interprets them.
//!
//! Nothing here touches a packet's bytes; a packet is a [`microflow::Microflow`], which holds the same fields as the
//! switch's own key. The invariant: what one part prints another reads back as the same thing ([`lex`], [`expr`] and
//! `action` all print a canonical form), and a text that OVN refuses is refused here too, with the place and the mend.

pub mod action;
pub mod cursor;
pub mod error;
pub mod expr;
pub mod journal;
pub mod known;
pub mod lex;
pub mod microflow;
pub mod names;
pub mod nb;
pub mod northd;
pub mod rows;
pub mod sha256;
pub mod symbol;
pub mod trace;

pub use error::SyntaxError;
