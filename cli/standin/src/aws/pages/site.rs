//! Where the pages are: for each kind of door the form of its addresses, and how it is spoken of.

use latchkey_domain::names::Region;

/// A kind of door, as a browser comes to it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::aws) struct Site {
    /// The kind's name.
    pub(super) kind: &'static str,
    /// What opening one is called where faults are asked for and requests are kept.
    pub(super) action: &'static str,
    /// What stands at the door, in Amazon's words.
    pub(super) product: &'static str,
    /// What starts behind it.
    pub(super) interface: &'static str,
    /// What follows the door's own label in a host; then comes the region.
    between: &'static str,
    /// What follows the region.
    suffix: &'static str,
    /// The path of its URLs.
    pub(super) path: &'static str,
    /// The parameter that has the token.
    pub(super) parameter: &'static str,
    /// Whether AWS documents that a URL opens once.
    pub(super) is_documented_single_use: bool,
}

const SAGEMAKER: &str = ".sagemaker.localhost";

/// A user profile's Studio: `<domain>.studio.<region>.sagemaker.aws/auth?token=…` at AWS.
pub(in crate::aws) static STUDIO: Site = Site {
    kind: "studio",
    action: "OpenStudio",
    product: "Amazon SageMaker Studio",
    interface: "Studio",
    between: ".studio.",
    suffix: SAGEMAKER,
    path: "/auth",
    parameter: "token",
    is_documented_single_use: false,
};

/// A notebook instance: `<name>.notebook.<region>.sagemaker.aws?authToken=…` at AWS.
pub(in crate::aws) static NOTEBOOK: Site = Site {
    kind: "notebook",
    action: "OpenNotebook",
    product: "Amazon SageMaker notebook instances",
    interface: "Jupyter server",
    between: ".notebook.",
    suffix: SAGEMAKER,
    path: "/",
    parameter: "authToken",
    is_documented_single_use: false,
};

/// An MLflow tracking server: `t-….<region>.experiments.sagemaker.aws/auth?authToken=…` at AWS.
pub(in crate::aws) static MLFLOW_SERVER: Site = Site {
    kind: "mlflow-server",
    action: "OpenMlflowServer",
    product: "MLflow on Amazon SageMaker",
    interface: "MLflow",
    between: ".",
    suffix: ".experiments.sagemaker.localhost",
    path: "/auth",
    parameter: "authToken",
    is_documented_single_use: true,
};

/// An MLflow app: `<id>.mlflow.sagemaker.<region>.app.aws/auth?authToken=…` at AWS.
pub(in crate::aws) static MLFLOW_APP: Site = Site {
    kind: "mlflow-app",
    action: "OpenMlflowApp",
    product: "MLflow on Amazon SageMaker",
    interface: "MLflow",
    between: ".mlflow.sagemaker.",
    suffix: ".app.localhost",
    path: "/auth",
    parameter: "authToken",
    is_documented_single_use: true,
};

/// A Partner AI App: `<id>.partner-app.<region>.sagemaker.aws/auth?authToken=…` at AWS.
pub(in crate::aws) static PARTNER_APP: Site = Site {
    kind: "partner-app",
    action: "OpenPartnerApp",
    product: "Amazon SageMaker Partner AI Apps",
    interface: "Partner AI App",
    between: ".partner-app.",
    suffix: SAGEMAKER,
    path: "/auth",
    parameter: "authToken",
    is_documented_single_use: false,
};

static SITES: [&Site; 5] = [&STUDIO, &NOTEBOOK, &MLFLOW_SERVER, &MLFLOW_APP, &PARTNER_APP];

impl Site {
    /// The host of the door with that label. Browsers write hosts in lower case.
    pub(in crate::aws) fn host(&self, label: &str, region: &Region) -> String {
        format!("{}{}{region}{}", label.to_ascii_lowercase(), self.between, self.suffix)
    }

    fn has(&self, host: &str) -> bool {
        let parts = host.strip_suffix(self.suffix).and_then(|rest| rest.split_once(self.between));
        parts.is_some_and(|(label, region)| !label.is_empty() && !label.contains('.') && Region::new(region).is_ok())
    }
}

/// Where a browser has come to.
pub(in crate::aws) struct Address {
    /// The host, without a port and in lower case.
    pub(super) host: String,
    /// The kind of door that is there; none if no door has such a host.
    pub(super) site: Option<&'static Site>,
}

impl Address {
    /// Reads a `Host`. None if there are no pages below it: it is then one of AWS's endpoints.
    pub(in crate::aws) fn read(host: &str) -> Option<Self> {
        let host = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
        let has_pages = SITES.iter().any(|site| host.ends_with(site.suffix));
        has_pages.then(|| Self { site: SITES.into_iter().find(|site| site.has(&host)), host })
    }

    /// The kind of door.
    pub(in crate::aws) fn kind(&self) -> &'static str {
        self.site.map_or("", |site| site.kind)
    }

    /// What opening it is called.
    pub(in crate::aws) fn action(&self) -> &'static str {
        self.site.map_or("Open", |site| site.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_of_one_kind() {
        let region = Region::new("eu-central-1").unwrap();
        for (site, host) in [
            (&STUDIO, "label.studio.eu-central-1.sagemaker.localhost"),
            (&NOTEBOOK, "label.notebook.eu-central-1.sagemaker.localhost"),
            (&MLFLOW_SERVER, "label.eu-central-1.experiments.sagemaker.localhost"),
            (&MLFLOW_APP, "label.mlflow.sagemaker.eu-central-1.app.localhost"),
            (&PARTNER_APP, "label.partner-app.eu-central-1.sagemaker.localhost"),
        ] {
            assert_eq!(site.host("LABEL", &region), host);
            assert_eq!(SITES.iter().filter(|other| other.has(host)).count(), 1, "{host}");
            let address = Address::read(&format!("{}:8080", host.to_ascii_uppercase())).unwrap();
            assert_eq!((address.site, address.kind(), address.action()), (Some(site), site.kind, site.action));
        }
        for elsewhere in ["127.0.0.1:1", "localhost", "sagemaker.localhost", "sagemaker.localhost.example"] {
            assert!(Address::read(elsewhere).is_none(), "{elsewhere}");
        }
        for nowhere in [
            "x.sagemaker.localhost",
            "a.b.studio.eu-central-1.sagemaker.localhost",
            ".studio.eu-central-1.sagemaker.localhost",
            "x.app.localhost",
        ] {
            let address = Address::read(nowhere).unwrap();
            assert_eq!((address.site, address.kind(), address.action()), (None, "", "Open"), "{nowhere}");
        }
    }
}
