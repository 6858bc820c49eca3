//! Trust actions with tokens of a real Keystone. Ignored where nobody asked for one: `./test keystone` runs these.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod receiver;

use std::sync::Arc;
use std::time::Duration;

use nephometer_alarm::notify::{Address, Networks, Notifier, Parcel, WebhookNotifier, WebhookSettings};
use nephometer_drivers::{Delivery, DeliveryFailure, NewDelivery};
use nephometer_model::{AlarmId, Clock, SystemClock, Timestamp};
use nephometer_openstack::keystone::{NewTrust, Session};
use nephometer_openstack::services::TrustSessions;
use nephometer_testkit::keystone::Keystone;
use receiver::{Receiver, Reply};
use uuid::Uuid;

/// A trust of `c-member` to the service's user.
async fn trust(keystone: &Keystone, service: &Session) -> String {
    let trustor = keystone.token("c-member", "c").await.unwrap();
    let new = NewTrust {
        trustor_user_id: keystone.users["c-member"].clone(),
        project_id: keystone.projects["c"].clone(),
        roles: vec!["member".to_owned()],
        impersonation: true,
    };
    service.create_trust(&trustor, &new).await.unwrap().id
}

fn notifier(service: &Arc<Session>) -> WebhookNotifier {
    let settings = WebhookSettings {
        certificate_file: None,
        key_file: None,
        ca_file: None,
        verify: true,
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(10),
        networks: Networks::new(&["127.0.0.0/8".to_owned()], &[]).unwrap(),
    };
    let trusts = Arc::new(TrustSessions::new(Arc::clone(service)));
    WebhookNotifier::new(settings, Some(trusts), Arc::new(SystemClock::new()) as Arc<dyn Clock>).unwrap()
}

async fn tell(notifier: &WebhookNotifier, action: &str) -> Result<(), DeliveryFailure> {
    let message = NewDelivery {
        id: Uuid::from_u128(1),
        alarm_id: AlarmId("a".to_owned()),
        project_id: None,
        action: action.to_owned(),
        payload: "{}".to_owned(),
        not_before: Timestamp::default(),
        group: None,
    };
    let delivery = Delivery { message, created_at: Timestamp::default(), attempts: 0, last_error: None };
    notifier.deliver(&Address::parse(action)?, &Parcel::one(delivery)).await
}

#[tokio::test]
#[ignore = "needs Keystone: ./test keystone"]
async fn webhooks_get_tokens_of_their_owners_trust() {
    let keystone = Keystone::shared().unwrap();
    let service = Arc::new(keystone.session("nephometer", keystone.project("service")).unwrap());
    let elsewhere = Receiver::start(|_, _| Reply::status(200)).await;
    let away = elsewhere.url("/away");
    let receiver = Receiver::start(move |number, seen| match seen.path.as_str() {
        "/away" => Reply::Answer(307, format!("Location: {away}\r\n")),
        "/stale" if number == 1 => Reply::status(401),
        "/no" => Reply::status(401),
        _ => Reply::status(200),
    })
    .await;
    let (id, notifier) = (trust(keystone, &service).await, notifier(&service));
    let action = |id: &str, path: &str| format!("trust+http://{id}:delete@{}{path}", receiver.address);
    tell(&notifier, &action(&id, "/x?y=z")).await.unwrap();
    let seen = receiver.seen();
    assert_eq!(seen[0].path, "/x?y=z");
    let token = seen[0].header("x-auth-token").unwrap();
    let info = service.validate(token, false).await.unwrap();
    assert_eq!((info.user.name.as_str(), info.trust.unwrap().id), ("c-member", id.clone()));
    // A token that is no longer taken is replaced once.
    tell(&notifier, &action(&id, "/stale")).await.unwrap();
    let seen = receiver.seen();
    assert_ne!(seen[1].header("x-auth-token"), seen[2].header("x-auth-token"));
    let refused = tell(&notifier, &action(&id, "/no")).await.unwrap_err();
    assert!(refused.to_string().ends_with("answered with 401 Unauthorized"), "{refused}");
    // The token stays with the server that the owner named.
    tell(&notifier, &action(&id, "/away")).await.unwrap();
    assert_eq!(elsewhere.seen()[0].header("x-auth-token"), None);
    // A trust that is gone tells nobody anything.
    let own = service.by_trust(&id).signed_in().await.unwrap().token.clone();
    service.delete_trust(&own, &id).await.unwrap();
    let told = receiver.seen().len();
    let refused = tell(&self::notifier(&service), &action(&id, "/x")).await.unwrap_err();
    assert!(matches!(refused, DeliveryFailure::Final(_)), "{refused}");
    assert_eq!(receiver.seen().len(), told);
    assert!(!refused.to_string().contains("pw-"), "{refused}");
}
