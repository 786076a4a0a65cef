//! `latchkey grants export`: the table as a file that imports back equal.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use latchkey_aws::grant_admin::GrantAdmin;
use serde_json::json;

use super::filter::Rows;
use super::{what, whose};
use crate::args::RowFilter;
use crate::aws;
use crate::commands::Usage;
use crate::grant_file::{Format, Record, Writer};
use crate::printable::printable;

/// What an export has come to.
#[derive(Debug, Default)]
struct Told {
    grants: u64,
    subjects: u64,
    /// Rows that no import would take.
    left_out: u64,
}

pub(super) async fn run(table: &str, file: &Path, format: Option<Format>, filter: &RowFilter, json: bool) -> anyhow::Result<ExitCode> {
    let to_stdout = file == Path::new("-");
    let Some(format) = format.or_else(|| Format::of(file)).or(to_stdout.then_some(Format::Jsonl)) else {
        return Err(Usage(format!("{}: the format is not known by that name; --format says it", file.display())).into());
    };
    let table = aws::table(table).await?;
    let told = if to_stdout {
        match export(&table, filter, format, BufWriter::new(io::stdout())).await {
            // A reader that has gone away (`latchkey … | head`) has what it wanted.
            Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
            told => told?,
        }
    } else {
        // Beside the file and then in its place, so that half an export is never taken for a whole one.
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let part = tempfile::NamedTempFile::new_in(folder).with_context(|| format!("{} cannot be written to", folder.display()))?;
        let told = export(&table, filter, format, BufWriter::new(part.as_file())).await?;
        part.persist(file).with_context(|| format!("{} cannot be written", file.display()))?;
        told
    };
    let mut text = format!("{} grants and {} subjects' records are exported", told.grants, told.subjects);
    if told.left_out > 0 {
        text.push_str(&format!("; {} rows are left out, so the file is not the whole table", told.left_out));
    }
    // Standard output may be the file.
    let summary = json!({"done": "exported", "grants": told.grants, "subjects": told.subjects, "left_out": told.left_out});
    let _ = writeln!(io::stderr(), "{}", if json { summary.to_string() } else { text });
    Ok(if told.left_out == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn export(table: &GrantAdmin, filter: &RowFilter, format: Format, to: impl Write) -> anyhow::Result<Told> {
    let mut writer = Writer::new(format, to)?;
    let mut told = Told::default();
    let mut rows = Rows::new(table, filter);
    while let Some((row, _)) = rows.next().await? {
        let record = Record::from_row(&row).map(|record| record.and_then(|record| record.check_exact().map(|()| record)));
        match record {
            Some(Ok(record)) => {
                writer.write(&record)?;
                if record.target().is_some() { told.grants += 1 } else { told.subjects += 1 }
            }
            problem => {
                told.left_out += 1;
                let (issuer, subject) = whose(&row);
                let what = what(&row);
                let problem = problem.and_then(Result::err).map_or_else(|| "pk: names no subject".to_owned(), |defect| defect.to_string());
                let said = format!("latchkey: {issuer} {subject} {what} is left out: {problem}");
                let _ = writeln!(io::stderr(), "{}", printable(&said));
            }
        }
    }
    writer.finish()?;
    Ok(told)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe))
}
