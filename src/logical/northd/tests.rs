//! The compiler against what the real ovn-northd 23.03 wrote, and against itself from nothing.

mod histories;
mod identity;
mod router;
mod router_histories;
mod support;
mod switches;
mod work;
