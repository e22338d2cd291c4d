//! What storage classes ask for: the configuration, and defaults that fit the number of failure domains. Pure.
//!
//! Blocks of every class are written as whole copies first. Those of a coded class are put into groups after they were
//! sealed, and rely on them from then on. A class also says on which media its blocks belong.

use granary_protocol::block::Media;
use granary_protocol::object::StorageClass;
use granary_protocol::redundancy::RedundancyPolicy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The default of the coded classes: the widest of these that there are domains for.
const CODES: [RedundancyPolicy; 3] = [
    RedundancyPolicy::ReedSolomon { data: 6, parity: 3 },
    RedundancyPolicy::ReedSolomon { data: 4, parity: 2 },
    RedundancyPolicy::ReedSolomon { data: 2, parity: 1 },
];

/// How blocks are put into groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CodingConfig {
    /// Groups whose parity is computed at once, in the whole cluster. Default 4; 0 forms no groups.
    pub groups_at_once: u16,
    /// A block that has waited this long for others of its class and length goes into a group of fewer, or less alike,
    /// blocks, where that still takes less than copies do. Default 60,000 ms.
    pub patience_ms: u64,
    /// Whether members of a group may be rebuilt onto a failure domain that has another member of it, when there is no
    /// other. Default false: they stay lost until there is.
    pub share_domains: bool,
    /// A new leader forms groups and removes surplus replicas only after this long, so that datanodes are done with what
    /// the old one told them. Default 60,000 ms.
    pub settle_ms: u64,
}

impl Default for CodingConfig {
    fn default() -> Self {
        CodingConfig { groups_at_once: 4, patience_ms: 60_000, share_domains: false, settle_ms: 60_000 }
    }
}

/// The settings of one storage class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassConfig {
    /// `replicas-3`, `rs-6-3` and so on; without it the default for the number of failure domains holds.
    pub redundancy: Option<RedundancyPolicy>,
    /// On which volumes its blocks belong: `ssd`, `disk` or `archive`. Default: `archive` for GLACIER and DEEP_ARCHIVE,
    /// anything but `archive` for the others.
    pub media: Option<Media>,
}

/// On which media the blocks of a class belong. Where the cluster has none of them, all will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaRule {
    /// On this one.
    Only(Media),
    /// On any but those for archives.
    NotArchive,
}

impl MediaRule {
    /// Whether blocks belong on such a volume.
    pub fn suits(self, media: Media) -> bool {
        match self {
            MediaRule::Only(only) => media == only,
            MediaRule::NotArchive => media != Media::Archive,
        }
    }

    /// How reports call it.
    pub fn name(self) -> &'static str {
        match self {
            MediaRule::Only(media) => media.name(),
            MediaRule::NotArchive => "any",
        }
    }
}

/// What every class asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassPolicies {
    replication: u8,
    configured: BTreeMap<StorageClass, RedundancyPolicy>,
    media: BTreeMap<StorageClass, Media>,
}

impl ClassPolicies {
    /// `replication` is what STANDARD asks for. Classes by their S3 names; one that S3 does not have is given back.
    ///
    /// # Errors
    /// A name that is none.
    pub fn new(replication: u8, classes: &BTreeMap<String, ClassConfig>) -> Result<ClassPolicies, String> {
        let (mut configured, mut media) = (BTreeMap::new(), BTreeMap::new());
        for (name, settings) in classes {
            let class = StorageClass::from_name(name).ok_or_else(|| name.clone())?;
            configured.extend(settings.redundancy.map(|policy| (class, policy)));
            media.extend(settings.media.map(|only| (class, only)));
        }
        Ok(ClassPolicies { replication, configured, media })
    }

    /// On which media the blocks of a class belong.
    pub fn media(&self, class: StorageClass) -> MediaRule {
        match self.media.get(&class) {
            Some(media) => MediaRule::Only(*media),
            None if class.is_archive() => MediaRule::Only(Media::Archive),
            None => MediaRule::NotArchive,
        }
    }

    /// What sealed blocks of a class come to when there are so many failure domains.
    pub fn policy(&self, class: StorageClass, domains: usize) -> RedundancyPolicy {
        if let Some(policy) = self.configured.get(&class) {
            return *policy;
        }
        let copies = RedundancyPolicy::Replicated(self.replication);
        match class {
            StorageClass::Standard | StorageClass::IntelligentTiering => copies,
            StorageClass::OnezoneIa => RedundancyPolicy::Replicated((self.replication - 1).max(1)),
            StorageClass::StandardIa | StorageClass::GlacierIr | StorageClass::Glacier | StorageClass::DeepArchive => {
                CODES.into_iter().find(|code| code.domains() <= domains).unwrap_or(copies)
            }
        }
    }

    /// Whether blocks of the class are coded where there are domains enough.
    pub fn may_be_coded(&self, class: StorageClass) -> bool {
        matches!(self.policy(class, usize::MAX), RedundancyPolicy::ReedSolomon { .. })
    }

    /// Whether the configuration names the class.
    pub fn is_configured(&self, class: StorageClass) -> bool {
        self.configured.contains_key(&class) || self.media.contains_key(&class)
    }

    /// Copies that a block of a class is written with, and has until it is in a group.
    pub fn fresh_replicas(&self, class: StorageClass, domains: usize) -> u8 {
        match self.policy(class, domains) {
            RedundancyPolicy::Replicated(copies) => copies,
            RedundancyPolicy::ReedSolomon { .. } => self.replication,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StorageClass::*;

    #[test]
    fn archives_belong_on_archive_volumes_and_nothing_else_does_unless_told() {
        let policies = policies(&[]);
        for class in StorageClass::ALL {
            let suits = |media| policies.media(class).suits(media);
            assert_eq!(
                Media::ALL.map(suits),
                if class.is_archive() { [false, false, true] } else { [true, true, false] }
            );
        }
        let settings = ClassConfig { redundancy: None, media: Some(Media::Ssd) };
        let policies = ClassPolicies::new(3, &BTreeMap::from([("STANDARD".to_owned(), settings)])).unwrap();
        assert_eq!(Media::ALL.map(|media| policies.media(Standard).suits(media)), [true, false, false]);
        assert!(policies.is_configured(Standard));
        assert_eq!(policies.policy(Standard, 9).to_string(), "replicas-3");
    }

    fn policies(classes: &[(&str, &str)]) -> ClassPolicies {
        let settings = |text: &str| ClassConfig { redundancy: Some(text.parse().unwrap()), media: None };
        let classes = classes.iter().map(|(name, text)| ((*name).to_owned(), settings(text))).collect();
        ClassPolicies::new(3, &classes).unwrap()
    }

    #[test]
    fn defaults_fit_the_domains_there_are() {
        let policies = policies(&[]);
        let policy = |class, domains| policies.policy(class, domains).to_string();
        for domains in 0..20 {
            assert_eq!(policy(Standard, domains), "replicas-3");
            assert_eq!(policy(OnezoneIa, domains), "replicas-2");
            let coded = match domains {
                0..3 => "replicas-3",
                3..6 => "rs-2-1",
                6..9 => "rs-4-2",
                _ => "rs-6-3",
            };
            for class in [StandardIa, GlacierIr, Glacier, DeepArchive] {
                assert_eq!(policy(class, domains), coded);
                assert_eq!(policies.fresh_replicas(class, domains), 3);
            }
        }
        assert_eq!(policies.fresh_replicas(OnezoneIa, 9), 2);
    }

    #[test]
    fn the_configuration_wins() {
        let policies = policies(&[("GLACIER", "rs-10-4"), ("STANDARD", "replicas-2"), ("STANDARD_IA", "replicas-1")]);
        assert_eq!(policies.policy(Glacier, 1).to_string(), "rs-10-4");
        assert_eq!(policies.fresh_replicas(Glacier, 1), 3);
        assert_eq!(policies.fresh_replicas(Standard, 9), 2);
        assert_eq!(policies.fresh_replicas(StandardIa, 9), 1);
        assert!(policies.is_configured(Standard) && !policies.is_configured(DeepArchive));
        let unknown = BTreeMap::from([("COLD".to_owned(), ClassConfig::default())]);
        assert_eq!(ClassPolicies::new(3, &unknown), Err("COLD".to_owned()));
    }
}
