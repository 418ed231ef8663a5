//! The alerts in what a server of the test was told.

pub(super) use goroscope_tests::fake::{Answer, Fake, Received};
use serde_json::Value;

/// The alerts in a request, as Alertmanager takes them, or as it tells them to a webhook.
pub(super) fn alerts_in(received: &Received) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&received.body).unwrap_or_default();
    let list = body.get("alerts").unwrap_or(&body);
    list.as_array().cloned().unwrap_or_default()
}

/// Of all requests.
pub(super) trait Alerts {
    /// All alerts with this label and this value, in order.
    fn alerts(&self, label: &str, value: &str) -> Vec<Value>;
}

impl Alerts for Fake {
    fn alerts(&self, label: &str, value: &str) -> Vec<Value> {
        let received = self.received();
        let named = |alert: &Value| {
            let labels = alert.get("labels").and_then(|labels| labels.get(label));
            labels.and_then(Value::as_str) == Some(value)
        };
        received.iter().flat_map(alerts_in).filter(named).collect()
    }
}
