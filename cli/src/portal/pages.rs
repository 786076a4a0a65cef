//! The pages: HTML that says everything without its style and its script, and holds no token and no URL that opens anything.

use std::fmt::Write as _;

use latchkey_domain::clock::Timestamp;
use latchkey_standin::html::Escaped;

use super::api::{Refused, Target};
use super::backstage::View;
use super::messages::{self, Message};
use super::session::{Opening, SignedIn};

/// A page, but for what its answer says besides.
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) html: String,
}

/// The list of what the user may open.
pub(super) fn targets(session: &SignedIn, targets: &[Target], now: Timestamp) -> Page {
    let mut main = String::from("<h1>Your targets</h1>\n");
    let mut put = |html: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = main.write_fmt(html);
    };
    if targets.is_empty() {
        put(format_args!(
            "<p>Nothing is open to you. If you need something for your work, ask the people who grant access.</p>\n\
             <p class=\"aside\">In this demo you can ask all the same, and see how it is refused.</p>\n{}",
            Form { session, target: None, label: "See the refusal", is_main: false }
        ));
    } else {
        put(format_args!(
            "<p>One click makes one link. It opens in a new tab, at once, and is good for seconds only.</p>\n\
             <p id=\"status\" class=\"visually-hidden\" role=\"status\"></p>\n<ul class=\"targets\">\n"
        ));
        for (index, target) in targets.iter().enumerate() {
            put(format_args!("{}", Card { session, target, index, now }));
        }
        put(format_args!("</ul>\n"));
    }
    Page { status: 200, html: layout("Your targets", Some(session), &main) }
}

/// A target, and what can be done with it.
struct Card<'a> {
    session: &'a SignedIn,
    target: &'a Target,
    index: usize,
    now: Timestamp,
}

impl std::fmt::Display for Card<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { session, target, index, now } = *self;
        let name = Escaped(&target.name);
        write!(f, "<li class=\"target\" data-target=\"{name}\">\n<h2>{name}")?;
        if target.default {
            f.write_str(" <span class=\"tag\">your default</span>")?;
        }
        writeln!(f, "</h2>\n<p>{} in {}</p>", Escaped(kind(&target.kind)), Escaped(&target.region))?;
        if target.enabled {
            f.write_str("<p class=\"state open\">Open to you</p>\n")?;
        } else {
            f.write_str(
                "<p class=\"state closed\">Closed to you now</p>\n\
                 <p class=\"aside\">A portal has no button here. In this demo you can ask all the same, and see how it is refused.</p>\n",
            )?;
        }
        let (label, is_main) = if target.enabled { ("Open", true) } else { ("See the refusal of", false) };
        let form = Form { session, target: Some((target, index)), label, is_main };
        writeln!(f, "{form}{}</li>", Last { opening: session.opening(&target.name), now })
    }
}

/// The form of one button. It goes to a new tab, which cannot reach back into this one.
struct Form<'a> {
    session: &'a SignedIn,
    target: Option<(&'a Target, usize)>,
    label: &'a str,
    is_main: bool,
}

impl std::fmt::Display for Form<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "<form class=\"open\" method=\"post\" action=\"/open\" target=\"_blank\" rel=\"noopener\">")?;
        writeln!(f, "<input type=\"hidden\" name=\"form_token\" value=\"{}\">", Escaped(self.session.form_token.expose()))?;
        if let Some((target, index)) = self.target {
            writeln!(f, "<input type=\"hidden\" name=\"target\" value=\"{}\">", Escaped(&target.name))?;
            if target.enabled && !target.landings.is_empty() {
                write!(f, "<label for=\"landing-{index}\">Start in</label>\n<select id=\"landing-{index}\" name=\"landing\">")?;
                f.write_str("<option value=\"\">the usual place</option>")?;
                for landing in &target.landings {
                    write!(f, "<option>{}</option>", Escaped(landing))?;
                }
                f.write_str("</select>\n")?;
            }
        }
        let class = if self.is_main { "main" } else { "other" };
        let name = self.target.map_or("", |(target, _)| target.name.as_str());
        let space = if name.is_empty() { "" } else { " " };
        writeln!(f, "<button class=\"{class}\">{}{space}{}</button>\n</form>", Escaped(self.label), Escaped(name))
    }
}

/// What came of the last click on a target. The script counts it down; without the script it says the time.
struct Last<'a> {
    opening: Option<&'a Opening>,
    now: Timestamp,
}

impl std::fmt::Display for Last<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(opening) = self.opening else {
            return f.write_str("<p class=\"opening\" role=\"timer\" data-number=\"0\" hidden></p>\n");
        };
        let (number, at) = (opening.number, time_of_day(opening.at));
        match opening.good_until {
            Some(until) => writeln!(
                f,
                "<p class=\"opening\" role=\"timer\" data-number=\"{number}\" data-left=\"{}\">The last link was made at {at}. \
                 It was good until {}.</p>",
                left(until, self.now),
                time_of_day(until)
            ),
            None => writeln!(f, "<p class=\"opening\" role=\"timer\" data-number=\"{number}\">Refused at {at}.</p>"),
        }
    }
}

/// For how many milliseconds a URL opens.
pub(super) fn left(until: Timestamp, now: Timestamp) -> i64 {
    until.unix_millis().saturating_sub(now.unix_millis()).max(0)
}

/// `18:04:12 UTC`.
fn time_of_day(time: Timestamp) -> String {
    let text = time.rfc3339();
    format!("{} UTC", text.get(11..19).unwrap_or_default())
}

fn kind(kind: &str) -> &str {
    match kind {
        "studio" => "SageMaker Studio",
        "notebook" => "Notebook instance",
        "mlflow-server" => "MLflow tracking server",
        "mlflow-app" => "MLflow app",
        "partner-app" => "Partner AI app",
        // A kind that is newer than this portal.
        other => other,
    }
}

/// What the API has refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The list of targets.
    List,
    /// A URL.
    Open,
}

/// A refusal by the API: the message for the user, and what a developer sees behind it.
pub(super) fn refusal(session: Option<&SignedIn>, asked: Asked, refused: &Refused, view: Option<&View>) -> Page {
    let message = match asked {
        Asked::List => messages::of_list(&refused.code),
        Asked::Open => messages::of(&refused.code),
    };
    let mut main = told(message);
    main.push_str("<dl>\n");
    let mut fact = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(main, "<dt>{name}</dt><dd>{}</dd>", Escaped(value));
    };
    if let Some(state) = &refused.state {
        fact("State", state);
    }
    if let Some(seconds) = refused.retry_after_seconds {
        fact("Try again", &format!("in {seconds} {}", if seconds == 1 { "second" } else { "seconds" }));
    }
    fact("Code", &refused.code);
    fact("Request id", refused.request_id.as_deref().unwrap_or("none: nothing has answered"));
    main.push_str("</dl>\n");
    main.push_str(&way_on(session, asked));
    if let Some(view) = view {
        backstage(&mut main, view);
    }
    // A 401 asks for credentials that a browser has none of.
    let status = if refused.status == 401 { 403 } else { refused.status };
    Page { status, html: layout(message.title, session, &main) }
}

/// A message of the portal's own. `why` is for developers.
pub(super) fn message(status: u16, session: Option<&SignedIn>, message: Message, why: Option<&str>) -> Page {
    let mut main = told(message);
    main.push_str(&way_on(session, Asked::Open));
    if let Some(why) = why {
        let _ = write!(main, "{BACKSTAGE}<p>Users see only what is above.</p>\n<pre>{}</pre>\n</section>\n", Escaped(why));
    }
    Page { status, html: layout(message.title, session, &main) }
}

/// After signing out.
pub(super) fn signed_out() -> Page {
    let main = "<h1>You have signed out</h1>\n<p>What you have opened stays open until its session ends.</p>\n\
                <p><a class=\"button\" href=\"/\">Sign in</a></p>\n";
    Page { status: 200, html: layout("Signed out", None, main) }
}

fn told(message: Message) -> String {
    format!("<h1>{}</h1>\n<p class=\"message\">{}</p>\n", Escaped(message.title), Escaped(message.text))
}

fn way_on(session: Option<&SignedIn>, asked: Asked) -> String {
    let text = match (session, asked) {
        (None, Asked::List | Asked::Open) => "Sign in",
        (Some(_), Asked::List) => "Try again",
        (Some(_), Asked::Open) => "Back to your targets",
    };
    format!("<p><a class=\"button\" href=\"/\">{text}</a></p>\n")
}

const BACKSTAGE: &str = "<section class=\"backstage\" aria-labelledby=\"backstage\">\n<h2 id=\"backstage\">For developers: why</h2>\n";

fn backstage(main: &mut String, view: &View) {
    main.push_str(BACKSTAGE);
    main.push_str("<p>Users see only what is above. Operators find the rest by the request id.</p>\n");
    // Writing to a String cannot fail.
    if let Some(reason) = view.record.as_ref().and_then(|record| record.reason) {
        let _ = write!(main, "<dl>\n<dt>Reason</dt><dd><code>{}</code></dd>\n", Escaped(reason));
        if let Some(advice) = &view.advice {
            let _ = writeln!(main, "<dt>Meaning</dt><dd>{}</dd>", Escaped(&advice.meaning));
            let _ = writeln!(main, "<dt>What to do</dt><dd>{}</dd>", Escaped(&advice.what_to_do));
        }
        main.push_str("</dl>\n");
    }
    let explanation = Escaped(&view.explanation);
    main.push_str("<details open>\n<summary>What latchkey explain says of a launch</summary>\n");
    if view.is_allowed_by_explanation {
        main.push_str("<p>It asks the table and not AWS: what it allows, AWS can still refuse.</p>\n");
    }
    let _ = write!(main, "<pre>{explanation}</pre>\n</details>\n");
    if let Some(record) = &view.record {
        let record = serde_json::to_string_pretty(record).unwrap_or_default();
        let _ = write!(main, "<details open>\n<summary>The audit record</summary>\n<pre>{}</pre>\n</details>\n", Escaped(&record));
    }
    main.push_str("</section>\n");
}

fn layout(title: &str, session: Option<&SignedIn>, main: &str) -> String {
    let who = session.map_or_else(String::new, |session| {
        format!(
            "<p>{}, signed in until {}</p>\n<form method=\"post\" action=\"/sign-out\">\n\
             <input type=\"hidden\" name=\"form_token\" value=\"{}\">\n<button class=\"other\">Sign out</button>\n</form>\n",
            Escaped(&session.name),
            time_of_day(session.ends_at),
            Escaped(session.form_token.expose())
        )
    });
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{} \u{2013} demo portal</title>\n\
         <link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\">\n<link rel=\"stylesheet\" href=\"/portal.css\">\n\
         <script src=\"/portal.js\" type=\"module\"></script>\n</head>\n<body>\n<header>\n<p class=\"brand\">Demo portal</p>\n{who}</header>\n\
         <main>\n{main}</main>\n<footer>\n<p>latchkey on this machine: no user, target or key is real.</p>\n</footer>\n</body>\n</html>\n",
        Escaped(title)
    )
}

#[cfg(test)]
mod tests {
    use latchkey_domain::token::BearerToken;

    use super::*;
    use crate::portal::session::{Sessions, User};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn session(notes: &[(&str, Option<i64>)]) -> SignedIn {
        let sessions = Sessions::default();
        let user = User { name: "Alice <A>".to_owned(), token: BearerToken::new("canary".to_owned()), ends_at: NOW.plus_seconds(3600) };
        let id = sessions.begin(user, NOW).unwrap();
        for (target, seconds) in notes {
            let session = sessions.find(id.expose(), NOW).unwrap();
            sessions.note(&session, target, NOW, seconds.map(|seconds| NOW.plus_seconds(seconds)));
        }
        sessions.find(id.expose(), NOW).unwrap()
    }

    fn target(name: &str, enabled: bool, landings: &[&str]) -> Target {
        Target {
            name: name.to_owned(),
            kind: "studio".to_owned(),
            region: "eu-central-1".to_owned(),
            landings: landings.iter().map(|&landing| landing.to_owned()).collect(),
            default: enabled,
            enabled,
        }
    }

    #[test]
    fn a_page_says_what_there_is_and_holds_no_token() {
        let session = session(&[("research", Some(30)), ("old", None)]);
        let list = [target("research", true, &["notebooks", "<canvas>"]), target("old", false, &["never"])];
        let page = targets(&session, &list, NOW.plus_seconds(1));
        for text in [
            "Alice &lt;A&gt;, signed in until 09:00:00 UTC",
            "<button class=\"main\">Open research</button>",
            "<option>&lt;canvas&gt;</option>",
            "SageMaker Studio in eu-central-1",
            "your default",
            "data-left=\"29000\"",
            "made at 08:00:00 UTC. It was good until 08:00:30 UTC.",
            "Closed to you now",
            "<button class=\"other\">See the refusal of old</button>",
            "Refused at 08:00:00 UTC.",
        ] {
            assert!(page.html.contains(text), "{text}: {}", page.html);
        }
        assert!(!page.html.contains("canary") && !page.html.contains("never") && !page.html.contains("style="));
        assert!(targets(&session, &[], NOW).html.contains("Nothing is open to you"));
    }

    #[test]
    fn a_refusal_says_what_the_user_can_do() {
        let refused = Refused {
            status: 429,
            code: "rate-limited".to_owned(),
            request_id: Some("r-1".to_owned()),
            state: None,
            retry_after_seconds: Some(1),
        };
        let page = refusal(Some(&session(&[])), Asked::Open, &refused, None);
        assert_eq!(page.status, 429);
        for text in ["<h1>Too many links in a short time</h1>", "<dd>in 1 second</dd>", "<dd>r-1</dd>", "Back to your targets"] {
            assert!(page.html.contains(text), "{text}: {}", page.html);
        }
        let ended = Refused { status: 401, code: "invalid-token".to_owned(), state: Some("<x>".to_owned()), ..refused };
        let page = refusal(None, Asked::List, &ended, None);
        assert!(page.status == 403 && page.html.contains("&lt;x&gt;") && page.html.contains(">Sign in</a>"));
    }
}
