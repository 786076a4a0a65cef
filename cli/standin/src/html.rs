//! Pages without remote assets or scripts: light and dark, readable by a screen reader, everything escaped.

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header;

use crate::answer::Answer;

/// Text for HTML and XML, in element content and in quoted attributes.
#[derive(Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // XML 1.0 has no other control characters, not even as references.
                c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#16202c;--soft:#4d5b6b;--paper:#f6f7f9;--card:#fff;--line:#7d8a99;--accent:#0b5cad;--bad:#a3161b}\
@media (prefers-color-scheme:dark){\
:root{--ink:#e8edf3;--soft:#a9b6c4;--paper:#10151b;--card:#19212a;--line:#7d8a99;--accent:#7ab8ff;--bad:#ff9a98}}\
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\
main{max-width:44rem;margin:3rem auto;padding:1.5rem 2rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem}\
h1{margin-top:0;font-size:1.5rem;line-height:1.25}h2{font-size:1.125rem}.bad h1{color:var(--bad)}\
p.tag{margin:0 0 .5rem;color:var(--soft);font-size:.875rem}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.4rem 1.5rem;margin:1rem 0}dt{color:var(--soft)}\
dd{margin:0;overflow-wrap:anywhere}ul{list-style:none;padding:0;display:grid;gap:.75rem}\
button{font:inherit;width:100%;text-align:left;padding:.75rem 1rem;cursor:pointer;\
color:var(--ink);background:transparent;border:1px solid var(--line);border-radius:.375rem}\
button:hover{border-color:var(--accent)}button:focus-visible{outline:3px solid var(--accent);outline-offset:2px}\
button span{display:block;color:var(--soft);font-size:.875rem}\
@media (max-width:40rem){main{margin:0;border:0;border-radius:0}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.75rem}}";

/// A page. `body` is HTML; `title` is text. `form_targets` are the sources that its forms may lead to (CSP `form-action`).
pub(crate) fn page(status: u16, title: &str, body: &str, form_targets: &str) -> Answer {
    let class = if status < 400 { "" } else { " class=\"bad\"" };
    let title = Escaped(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body{class}>\n<main>\n{body}</main>\n</body>\n</html>\n"
    );
    let style_hash = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    Answer::new(status, "text/html; charset=utf-8", html)
        .with(
            header::CONTENT_SECURITY_POLICY,
            format!(
                "default-src 'none'; style-src 'sha256-{style_hash}'; base-uri 'none'; form-action {form_targets}; frame-ancestors 'none'"
            ),
        )
        .with(header::REFERRER_POLICY, "no-referrer")
        .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
}

/// Whether the caller would rather have JSON than a page.
pub(crate) fn wants_json(headers: &http::HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("application/json") && !accept.contains("text/html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_escaped() {
        let escaped = Escaped("<a href='x' title=\"y\">&\u{1}ü").to_string();
        assert_eq!(escaped, "&lt;a href=&#39;x&#39; title=&quot;y&quot;&gt;&amp;\u{fffd}ü");
        let page = page(200, "</title><script>", "", "'none'");
        assert!(page.text().contains("<title>&lt;/title&gt;&lt;script&gt;</title>"));
        assert!(page.text().contains("lang=\"en\""));
    }
}
