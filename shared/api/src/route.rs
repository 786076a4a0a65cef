//! Which of the API's operations a request is for.

use latchkey_domain::decision::{Code, Denial, Reason};

/// No such path.
pub const NO_PATH: Reason = Reason("route.no-such-path");
/// The path exists, with another method.
pub const NO_METHOD: Reason = Reason("route.no-such-method");

/// Every reason of this module.
pub const REASONS: &[Reason] = &[NO_PATH, NO_METHOD];

/// An operation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `POST /presigned-urls`
    Mint,
    /// `GET /targets`
    List,
    /// `GET /health`
    Health,
}

impl Route {
    /// Every operation.
    pub const ALL: [Self; 3] = [Self::Mint, Self::List, Self::Health];

    /// Its path, without the stage.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Mint => "/presigned-urls",
            Self::List => "/targets",
            Self::Health => "/health",
        }
    }

    /// Its method.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Mint => "POST",
            Self::List | Self::Health => "GET",
        }
    }

    /// The operation at that path, whatever the method.
    ///
    /// `resource` is the path in the API's template. It counts where it names one path, because `path` holds a custom
    /// domain's base path too; a greedy or variable resource says nothing.
    pub fn at(resource: Option<&str>, path: Option<&str>) -> Option<Self> {
        let path = resource.filter(|resource| !resource.contains('{')).or(path)?;
        Self::ALL.into_iter().find(|route| route.path() == path)
    }

    /// Whether the method is this operation's.
    ///
    /// # Errors
    /// [`Code::MethodNotAllowed`].
    pub fn check_method(self, method: &str) -> Result<(), Denial> {
        if method == self.method() { Ok(()) } else { Err(Denial::new(Code::MethodNotAllowed, NO_METHOD)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_path_counts_where_it_names_one() {
        assert_eq!(Route::at(Some("/targets"), Some("/base/targets")), Some(Route::List));
        assert_eq!(Route::at(Some("/{proxy+}"), Some("/health")), Some(Route::Health));
        assert_eq!(Route::at(None, Some("/presigned-urls")), Some(Route::Mint));
        for (resource, path) in
            [(Some("/other"), Some("/targets")), (None, Some("/targets/")), (None, Some("/Targets")), (None, Some("")), (None, None)]
        {
            assert_eq!(Route::at(resource, path), None, "{resource:?} {path:?}");
        }
    }
}
