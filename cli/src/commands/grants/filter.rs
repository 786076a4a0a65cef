//! The rows that an operator means, read from the table a page at a time: memory does not grow with it.

use std::collections::VecDeque;

use latchkey_aws::grant_admin::{AdminError, Cursor, GrantAdmin, GroupIdentity, Page, Row};
use latchkey_domain::clock::{Clock as _, SystemClock, Timestamp};
use latchkey_domain::identity::Identity;
use latchkey_domain::item::Value;
use latchkey_domain::subject::Standing;

use super::state::{self, State};
use crate::args::RowFilter;
use crate::backoff::Backoff;

/// Reads a page of the whole table, again and again while DynamoDB has too much to do.
pub(in crate::commands) async fn page(table: &GrantAdmin, from: Option<&Cursor>) -> Result<Page, AdminError> {
    let mut backoff = Backoff::default();
    loop {
        match table.list_all(from.cloned()).await {
            Ok(page) => return Ok(page),
            Err(error) => backoff.pause(error).await?,
        }
    }
}

/// The rows that a filter lets through, each with its state.
pub(super) struct Rows<'a> {
    table: &'a GrantAdmin,
    filter: &'a RowFilter,
    now: Timestamp,
    read: VecDeque<Row>,
    next: Next,
    /// What the last subject's own row says. The rows of one subject come together and its own first, as `SUBJECT` sorts before
    /// `TARGET#`, so it is known when the grants come.
    subject: Option<(Identity, Standing)>,
}

/// Where reading goes on.
enum Next {
    Subject(Identity),
    Group(GroupIdentity),
    Page(Option<Cursor>),
    Nowhere,
}

impl<'a> Rows<'a> {
    pub(super) fn new(table: &'a GrantAdmin, filter: &'a RowFilter) -> Self {
        let next = match (&filter.issuer, &filter.subject, &filter.group) {
            (Some(issuer), Some(subject), _) => Next::Subject(Identity { issuer: issuer.clone(), subject: subject.clone() }),
            (Some(issuer), None, Some(group)) => Next::Group(GroupIdentity { issuer: issuer.clone(), group: group.clone() }),
            _ => Next::Page(None),
        };
        Self { table, filter, now: SystemClock::new().now(), read: VecDeque::new(), next, subject: None }
    }

    /// The next row; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<(Row, State)>, AdminError> {
        loop {
            while let Some(row) = self.read.pop_front() {
                if let (Some(identity), Some(standing)) = (&row.identity, row.standing()) {
                    self.subject = Some((identity.clone(), standing));
                }
                let own = self.subject.as_ref().filter(|(identity, _)| row.identity.as_ref() == Some(identity));
                let state = state::of(&row, own.map_or(Standing::Active, |(_, standing)| *standing), self.now);
                if (row.is_subject() || row.target_name().is_some() || row.group.is_some()) && matches(self.filter, &row, state) {
                    return Ok(Some((row, state)));
                }
            }
            match std::mem::replace(&mut self.next, Next::Nowhere) {
                Next::Subject(identity) => self.read = self.table.list_subject(&identity).await?.into(),
                Next::Group(whose) => self.read = self.table.list_group(&whose).await?.into(),
                Next::Page(from) => {
                    let page = page(self.table, from.as_ref()).await?;
                    self.read = page.rows.into();
                    if page.next.is_some() {
                        self.next = Next::Page(page.next);
                    }
                }
                Next::Nowhere => return Ok(None),
            }
        }
    }
}

/// Whether a filter lets a row through. It goes by what stands in the row, so that malformed ones are found, too.
fn matches(filter: &RowFilter, row: &Row, state: State) -> bool {
    let text = |attribute: &str| match row.item.get(attribute) {
        Some(Value::S(text)) => text.as_str(),
        Some(Value::N(_) | Value::Bool(_) | Value::M(_) | Value::L(_) | Value::Other(_)) | None => "",
    };
    let issuer = row.identity.as_ref().map(|identity| &identity.issuer).or(row.group.as_ref().map(|whose| &whose.issuer));
    filter.issuer.as_ref().is_none_or(|wanted| issuer == Some(wanted))
        && filter.domain_id.as_ref().is_none_or(|wanted| text("domain_id") == wanted)
        && filter.user_profile_name.as_ref().is_none_or(|wanted| text("user_profile_name").eq_ignore_ascii_case(wanted))
        && filter.kind.is_none_or(|wanted| text("kind") == wanted.as_str())
        && filter.target.as_ref().is_none_or(|wanted| row.target_name() == Some(wanted))
        && (filter.state.is_empty() || filter.state.contains(&state))
}
