//! Many users at once: on several environments of the function, as Lambda has them in the morning, which share a table and nothing
//! else; and on `latchkey dev`, hundreds at the same moment. docs/reliability.md has what it came to.
//!
//! With `LATCHKEY_LOAD_RECORD` the runs are long ones, and what they measure is written into that folder (`make load`).

mod crowd;
mod dev;
mod environments;
mod record;
