//! What the whole-system tests share: the emulator, processes that end with their test, the contract suites of the ports,
//! and the bodies of the fuzz targets.

pub mod aws_check;
pub mod contracts;
pub mod emulator;
pub mod fuzz;
pub mod moto;
pub mod openid_provider;
pub mod process;
pub mod stack;
pub mod tools;
