use std::collections::HashSet;

use super::*;
use crate::item::{Item, Value};

fn target(kind: Kind) -> Target {
    let values: &[&str] = match kind {
        Kind::Studio => &["d-abc", "Jane"],
        Kind::Notebook => &["research-jane"],
        Kind::MlflowServer => &["experiments"],
        Kind::MlflowApp => &["arn:aws:sagemaker:eu-west-1:444455556666:mlflow-app/app-7QX2"],
        Kind::PartnerApp => &["arn:aws:sagemaker:eu-west-1:444455556666:partner-app/app-ABCDEFGHIJ12"],
    };
    let item: Item =
        kind.attributes().iter().zip(values).map(|(name, value)| ((*name).to_owned(), Value::S((*value).to_owned()))).collect();
    kind.read(&Row(&item)).unwrap()
}

#[test]
fn every_kind_reads_what_it_writes() {
    let names: HashSet<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
    for &kind in Kind::ALL {
        let target = target(kind);
        assert_eq!((target.kind(), Kind::named(kind.as_str())), (kind, Some(kind)));
        let item: Item = target.attributes().into_iter().map(|(name, value)| (name.to_owned(), Value::S(value.to_owned()))).collect();
        assert_eq!(item.len(), kind.attributes().len());
        assert_eq!(kind.read(&Row(&item)), Ok(target));
    }
    assert_eq!(Kind::named("Studio"), None);
}

#[test]
fn mlflow_apps_alone_have_hosts_besides_sagemakers_own() {
    for (region, suffix) in [("eu-west-1", Some(".mlflow.sagemaker.eu-west-1.app.aws")), ("cn-north-1", None)] {
        for &kind in Kind::ALL {
            let expected: Vec<&str> = suffix.filter(|_| kind == Kind::MlflowApp).into_iter().collect();
            assert_eq!(kind.host_suffixes(&Region::new(region).unwrap()), expected, "{kind} in {region}");
        }
    }
}

#[test]
fn every_kind_has_its_arn_and_its_permissions() {
    let region = Region::new("eu-central-1").unwrap();
    let place = Place { region: &region, account_id: "111122223333" };
    for (kind, arn, actions) in [
        (
            Kind::Studio,
            "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-abc/Jane",
            &["sagemaker:CreatePresignedDomainUrl", "sagemaker:DescribeUserProfile"][..],
        ),
        (
            Kind::Notebook,
            "arn:aws:sagemaker:eu-central-1:111122223333:notebook-instance/research-jane",
            &["sagemaker:CreatePresignedNotebookInstanceUrl", "sagemaker:DescribeNotebookInstance"],
        ),
        (
            Kind::MlflowServer,
            "arn:aws:sagemaker:eu-central-1:111122223333:mlflow-tracking-server/experiments",
            &["sagemaker:CreatePresignedMlflowTrackingServerUrl", "sagemaker:DescribeMlflowTrackingServer", "sagemaker-mlflow:*"],
        ),
        (
            Kind::MlflowApp,
            "arn:aws:sagemaker:eu-west-1:444455556666:mlflow-app/app-7QX2",
            &["sagemaker:CreatePresignedMlflowAppUrl", "sagemaker:DescribeMlflowApp", "sagemaker:CallMlflowAppApi", "sagemaker-mlflow:*"],
        ),
        (
            Kind::PartnerApp,
            "arn:aws:sagemaker:eu-west-1:444455556666:partner-app/app-ABCDEFGHIJ12",
            &["sagemaker:CreatePartnerAppPresignedUrl", "sagemaker:DescribePartnerApp", "sagemaker:CallPartnerAppApi"],
        ),
    ] {
        let target = target(kind);
        assert_eq!(target.resource_arn(place), arn);
        let permissions = target.permissions(place, false);
        assert_eq!(permissions[0].actions, actions[..1], "making URLs stands alone");
        assert_eq!(permissions[1].actions, actions[1..]);
        assert_eq!(permissions.len(), 2);
        assert!(permissions.iter().all(|permission| permission.resource_arn == arn));
        let more = target.permissions(place, true).split_off(permissions.len());
        let domain = Permission {
            actions: vec!["sagemaker:DescribeDomain"],
            resource_arn: "arn:aws:sagemaker:eu-central-1:111122223333:domain/d-abc".to_owned(),
        };
        assert_eq!(more, if kind == Kind::Studio { vec![domain] } else { vec![] });
    }
}

#[test]
fn one_target_is_the_same_in_any_case() {
    let studio = |domain: &str, profile: &str| {
        Target::from(Studio {
            domain_id: crate::names::DomainId::new(domain).unwrap(),
            user_profile_name: crate::names::UserProfileName::new(profile).unwrap(),
        })
    };
    assert!(studio("d-abc", "Jane").is_same_as(&studio("d-abc", "jANE")));
    assert!(!studio("d-abc", "jane").is_same_as(&studio("d-abd", "jane")));
    assert!(!studio("d-abc", "jane").is_same_as(&studio("d-abc", "jane-2")));
    assert!(!studio("d-abc", "jane").is_same_as(&target(Kind::Notebook)));
    assert_eq!(studio("d-abc", "jane").to_string(), "studio d-abc/jane");
}
