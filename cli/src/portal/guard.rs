//! Whose request it is: what keeps other pages and other names away from the portal.

use axum::http::{HeaderMap, HeaderName, header};

/// Whether the browser says that a page of this very origin has sent the form.
///
/// Browsers put `Origin` on every POST, so one without is none of theirs. `Sec-Fetch-Site`, which the older ones lack, tells the same of
/// the whole way: a redirect over another site makes it `cross-site`. Both can be written by whoever is not a browser, and such a one has
/// no cookie of the user's.
pub(super) fn is_from_own_page(headers: &HeaderMap, origin: &str) -> bool {
    let is_own_origin = one(headers, &header::ORIGIN) == Some(origin);
    let site = HeaderName::from_static("sec-fetch-site");
    is_own_origin && (!headers.contains_key(&site) || one(headers, &site) == Some("same-origin"))
}

/// Whether the request names the portal as it is, and not by a name that somebody else has pointed at this machine.
pub(super) fn is_for(headers: &HeaderMap, authority: &str) -> bool {
    one(headers, &header::HOST) == Some(authority)
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        (_, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn forms_come_from_own_pages() {
        let own = "http://localhost:8792";
        for good in [&[("origin", own)][..], &[("origin", own), ("sec-fetch-site", "same-origin")]] {
            assert!(is_from_own_page(&headers(good), own), "{good:?}");
        }
        for bad in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("origin", "null")],
            &[("origin", "http://localhost:8791")],
            &[("origin", "http://evil.example")],
            &[("origin", own), ("origin", own)],
            &[("origin", own), ("sec-fetch-site", "same-site")],
            &[("origin", own), ("sec-fetch-site", "cross-site")],
            &[("origin", own), ("sec-fetch-site", "none")],
        ] {
            assert!(!is_from_own_page(&headers(bad), own), "{bad:?}");
        }
    }

    #[test]
    fn it_has_one_name() {
        assert!(is_for(&headers(&[("host", "localhost:8792")]), "localhost:8792"));
        for bad in [&[][..], &[("host", "127.0.0.1:8792")], &[("host", "evil.example:8792")], &[("host", "localhost")]] {
            assert!(!is_for(&headers(bad), "localhost:8792"), "{bad:?}");
        }
    }
}
