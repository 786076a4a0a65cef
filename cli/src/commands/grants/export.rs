//! `latchkey grants export`: the table as a file that imports back equal.

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use latchkey_aws::grant_admin::GrantAdmin;
use serde_json::json;

use super::filter::Rows;
use super::{what, whose};
use crate::args::RowFilter;
use crate::commands::{Usage, say};
use crate::grant_file::{Format, Record, Writer};
use crate::interrupt::Interrupt;
use crate::printable::printable;
use crate::{aws, output};

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
    let place = if to_stdout { None } else { Some(Place::of(file)?) };
    let table = aws::table(table).await?;
    let told = match &place {
        Some(place) => place.fill(&table, filter, format).await?,
        None => match export(&table, filter, format, BufWriter::new(io::stdout())).await {
            // A reader that has gone away (`latchkey … | head`) has what it wanted.
            Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
            Err(error) if error.is::<io::Error>() => return Err(error.context("standard output")),
            told => told?,
        },
    };
    let mut text = format!("{} grants and {} subjects' records are exported", told.grants, told.subjects);
    if told.left_out > 0 {
        text.push_str(&format!("; {} rows are left out, so the file is not the whole table", told.left_out));
    }
    let summary = json!({"done": "exported", "grants": told.grants, "subjects": told.subjects, "left_out": told.left_out}).to_string();
    match (json, to_stdout) {
        (true, false) => say(summary),
        // Standard output is the file.
        (true, true) => output::tell(&summary),
        (false, _) => output::tell(&text),
    }
    Ok(if told.left_out == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The file that an export is to be.
#[derive(Debug)]
struct Place {
    /// Where it is, past all links.
    path: PathBuf,
    /// What it is now; none where there is none yet.
    is: Option<Metadata>,
}

impl Place {
    /// The place of that name.
    ///
    /// # Errors
    /// [`Usage`]: what is there is no file, and putting one in its place would take away a device, or a pipe that somebody reads.
    fn of(file: &Path) -> anyhow::Result<Self> {
        let name = file.display();
        match fs::metadata(file) {
            Ok(is) if is.is_file() => {
                let path = fs::canonicalize(file).with_context(|| format!("{name} cannot be written"))?;
                Ok(Self { path, is: Some(is) })
            }
            Ok(_) => Err(Usage(format!("{name} is no file; `-` is standard output")).into()),
            Err(error) if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(file).is_ok() => {
                Err(Usage(format!("{name} is a link to what is not there")).into())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self { path: file.to_owned(), is: None }),
            Err(error) => Err(error).with_context(|| format!("{name} cannot be written")),
        }
    }

    /// Writes the rows beside the file and then in its place, so that half an export is never taken for a whole one.
    async fn fill(&self, table: &GrantAdmin, filter: &RowFilter, format: Format) -> anyhow::Result<Told> {
        let name = self.path.display();
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // What is half written goes with the command, also when that is ended from outside.
        let mut interrupt = Interrupt::listen()?;
        let part = tempfile::NamedTempFile::new_in(folder).with_context(|| format!("{} cannot be written to", folder.display()))?;
        let told = tokio::select! {
            told = export(table, filter, format, BufWriter::new(part.as_file())) => told?,
            () = interrupt.comes() => bail!("interrupted: {name} is as it was"),
        };
        if let Some(is) = &self.is {
            keep(is, part.as_file()).with_context(|| format!("{name} cannot be written"))?;
        }
        part.persist(&self.path).with_context(|| format!("{name} cannot be written"))?;
        Ok(told)
    }
}

/// Gives a file the mode of the one whose place it takes, and its owner where that can be: whoever could read it still can. A new
/// file is its owner's alone.
fn keep(is: &Metadata, file: &File) -> io::Result<()> {
    // Only root can give a file away, and who else exports over somebody's file has been let.
    let _ = fchown(file, Some(is.uid()), Some(is.gid()));
    file.set_permissions(is.permissions())
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
                output::tell(&printable(&format!("latchkey: {issuer} {subject} {what} is left out: {problem}")));
            }
        }
    }
    writer.finish()?;
    Ok(told)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    // The error itself, and none that it comes from: a connection to AWS that breaks is no reader that has gone away.
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
