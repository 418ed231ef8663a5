//! Versions of Linux.

/// `6.1.146` of `6.1.146-1-amd64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KernelVersion {
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) patch: u32,
}

impl KernelVersion {
    pub(super) const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    pub(super) fn parse(release: &str) -> Option<Self> {
        let plain = release.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut numbers = plain.split('.').map(|number| number.parse().ok());
        let major = numbers.next()??;
        let minor = numbers.next()??;
        Some(Self { major, minor, patch: numbers.next().flatten().unwrap_or(0) })
    }

    /// Whether it has the fix of CVE-2025-38466, after which attaching uprobes through perf needs
    /// CAP_SYS_ADMIN: <https://nvd.nist.gov/vuln/detail/CVE-2025-38466>. Distributions fix older
    /// ones under the old number.
    pub(super) fn uprobes_need_admin(self) -> bool {
        const FIXED: [KernelVersion; 6] = [
            KernelVersion::new(5, 10, 240),
            KernelVersion::new(5, 15, 189),
            KernelVersion::new(6, 1, 146),
            KernelVersion::new(6, 6, 99),
            KernelVersion::new(6, 12, 39),
            KernelVersion::new(6, 15, 7),
        ];
        let series = |fixed: &&Self| (fixed.major, fixed.minor) == (self.major, self.minor);
        self >= Self::new(6, 16, 0) || FIXED.iter().find(series).is_some_and(|fixed| self >= *fixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        let parse = KernelVersion::parse;
        assert_eq!(parse("6.18.44-fc-v669"), Some(KernelVersion::new(6, 18, 44)));
        assert_eq!(parse("5.15.0-91-generic"), Some(KernelVersion::new(5, 15, 0)));
        assert_eq!(parse("6.12-rc3"), Some(KernelVersion::new(6, 12, 0)));
        assert_eq!(parse("4.18.0-553.el8_10.x86_64"), Some(KernelVersion::new(4, 18, 0)));
        for odd in ["", "6", "six.one", "99999999999.1", ".1.2"] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_fix() {
        let needs = |release| KernelVersion::parse(release).unwrap().uprobes_need_admin();
        for (release, needed) in [
            ("5.10.239", false),
            ("5.10.240", true),
            ("5.15.188", false),
            ("6.1.146-1-amd64", true),
            ("6.6.98", false),
            ("6.6.100", true),
            ("6.8.0", false),
            ("6.12.38", false),
            ("6.12.39", true),
            ("6.15.7", true),
            ("6.16.0", true),
            ("7.2.1", true),
        ] {
            assert_eq!(needs(release), needed, "{release}");
        }
    }
}
