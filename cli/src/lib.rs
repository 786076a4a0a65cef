//! The `latchkey` command: the whole service on this machine, and the operator's tools.
//!
//! | module | what |
//! | --- | --- |
//! | [`advice`] | what to do about an error |
//! | [`args`] | the command line |
//! | [`backoff`] | calls that are repeated while DynamoDB has too much to do |
//! | [`change_log`] | the audit lines of changes |
//! | [`cloud`] | the resources of a deployment, as AWS describes them |
//! | [`commands`] | one module for each command |
//! | [`dns`] | names, asked of name servers |
//! | [`doctor`] | what of a deployment is not as it has to be |
//! | [`embedded`] | the broker over the stand-ins |
//! | [`explain`] | the broker over ports that read and do nothing |
//! | [`gateway`] | API Gateway on this machine |
//! | [`grant_file`] | files of grants |
//! | [`interrupt`] | Ctrl-C and its like, for what has something to put in order first |
//! | [`output`] | what a command writes, and what becomes of it where it cannot |
//! | [`portal`] | a portal to click, over the embedded broker |
//! | [`printable`] | what others wrote, for a terminal |
//! | [`redact`] | tokens, taken out of what is said about a mistake |
//! | [`revocation`], [`issuing_roles`] | what cuts live sessions, and the roles that it is written to |

// The SDK's futures are nested so deeply that the compiler gives up on the layout of what awaits them.
#![recursion_limit = "256"]

pub mod advice;
pub mod args;
pub mod aws;
pub mod backoff;
pub mod change_log;
pub mod cloud;
pub mod commands;
pub mod dns;
pub mod doctor;
pub mod embedded;
pub mod event;
pub mod explain;
pub mod gateway;
pub mod grant_args;
pub mod grant_file;
pub mod http;
pub mod interrupt;
pub mod issuing_roles;
pub mod output;
pub mod portal;
pub mod printable;
pub mod redact;
pub mod revocation;
