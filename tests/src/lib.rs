//! What the whole-system tests share: the emulator, processes that end with their test, and the contract suites of the ports.

pub mod aws_check;
pub mod contracts;
pub mod emulator;
pub mod moto;
pub mod openid_provider;
pub mod process;
pub mod raw_table;
pub mod stack;
pub mod stopwatch;
pub mod time_machine;
pub mod tools;
