//! The body of a request: alerts as Alertmanager takes them, `postableAlerts` in
//! <https://github.com/prometheus/alertmanager/blob/v0.27.0/api/v2/openapi.yaml>.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::judge::alert::{Alert, Labels};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Postable<'a> {
    labels: &'a Labels,
    annotations: &'a BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
}

/// The body for these alerts. Those that are firing are over of themselves at `now` (in seconds
/// since the Unix epoch) and `lasting` later, unless they are sent again.
pub(super) fn body(alerts: &[Alert], now: f64, lasting: Duration) -> serde_json::Result<Vec<u8>> {
    let expiry = now + lasting.as_secs_f64();
    let postable = alerts.iter().map(|alert| Postable {
        labels: &alert.labels,
        annotations: &alert.annotations,
        starts_at: rfc3339(alert.starts_at),
        // A clock that was set back must not make an alert end before it starts.
        ends_at: rfc3339(alert.ends_at.unwrap_or(expiry).max(alert.starts_at)),
    });
    serde_json::to_vec(&postable.collect::<Vec<_>>())
}

fn rfc3339(epoch_seconds: f64) -> Option<String> {
    let since = SignedDuration::try_from_secs_f64(epoch_seconds).ok()?;
    Timestamp::UNIX_EPOCH.checked_add(since).ok().map(|time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn firing_and_over() {
        let firing = Alert {
            labels: Arc::new(Labels::from([("alertname", "A\"\n".to_owned())])),
            annotations: BTreeMap::from([("summary", "s".to_owned())]),
            starts_at: 1_767_225_600.0,
            ends_at: None,
        };
        let over = Alert { ends_at: Some(1_767_225_660.5), ..firing.clone() };
        let body = body(&[firing, over], 1_767_225_700.0, Duration::from_secs(240)).unwrap();
        let expected = serde_json::json!([
            {
                "labels": {"alertname": "A\"\n"}, "annotations": {"summary": "s"},
                "startsAt": "2026-01-01T00:00:00.000Z", "endsAt": "2026-01-01T00:05:40.000Z",
            },
            {
                "labels": {"alertname": "A\"\n"}, "annotations": {"summary": "s"},
                "startsAt": "2026-01-01T00:00:00.000Z", "endsAt": "2026-01-01T00:01:00.500Z",
            },
        ]);
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap(), expected);
    }

    #[test]
    fn times_out_of_range_are_left_out() {
        assert_eq!(rfc3339(f64::NAN), None);
        assert_eq!(rfc3339(1e300), None);
    }
}
