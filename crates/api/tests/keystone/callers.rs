//! The kinds of callers, with their tokens.

use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::Authenticator;
use nephometer_model::{Clock as _, SystemClock, Timestamp};
use nephometer_openstack::keystone::{Credentials, NamedIn, Scope, SignIn};
use nephometer_testkit::keystone::Keystone;

/// One kind of caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) name: &'static str,
    /// What it puts into `X-Auth-Token`.
    pub(crate) token: Option<String>,
    /// Whether Keystone vouches for the token.
    pub(crate) is_signed_in: bool,
    /// Whether it has nothing to do with the tenant `a` and no role that makes up for it: to such callers a world with and
    /// one without that tenant look the same.
    pub(crate) is_blind: bool,
}

/// All of them, and what recognises them.
pub(crate) struct Callers {
    pub(crate) all: Vec<Caller>,
    pub(crate) keystone: &'static Keystone,
    pub(crate) authenticator: Arc<dyn Authenticator>,
}

impl Callers {
    /// Signs everybody in.
    ///
    /// `stranger` is a member of project `b`; `reader` and `member` are of project `a`, whose things are looked for; `admin`
    /// has the role `admin` in project `c`, `service` the role `service` in project `service`; `system` reads the system.
    pub(crate) async fn sign_in() -> Self {
        let keystone = Keystone::shared().unwrap();
        let mut all =
            vec![unsigned("nobody", None), unsigned("garbage", Some("gAAAAABnotatoken".to_owned()))];
        all.push(unsigned("expired", Some(expired_token(keystone).await)));
        for (name, user, project, is_blind) in [
            ("stranger", "b-member", "b", true),
            ("reader", "a-reader", "a", false),
            ("member", "a-member", "a", false),
            ("admin", "c-admin", "c", false),
            ("service", "nova", "service", false),
        ] {
            let token = keystone.token(user, project).await.unwrap().expose().to_owned();
            all.push(Caller { name, token: Some(token), is_signed_in: true, is_blind });
        }
        let system = keystone.session("system-reader", Scope::System).unwrap();
        let token = system.signed_in().await.unwrap().token.expose().to_owned();
        all.push(Caller { name: "system", token: Some(token), is_signed_in: true, is_blind: true });
        Self { all, keystone, authenticator: keystone.authenticator().unwrap() }
    }

    /// A caller by name.
    pub(crate) fn named(&self, name: &str) -> &Caller {
        self.all.iter().find(|caller| caller.name == name).unwrap()
    }
}

fn unsigned(name: &'static str, token: Option<String>) -> Caller {
    Caller { name, token, is_signed_in: false, is_blind: true }
}

/// A token of a member of project `a` that has ended. A busy Keystone may need longer to make one than it lives: then
/// another one lives longer.
async fn expired_token(keystone: &Keystone) -> String {
    let clock = SystemClock::new();
    for life_seconds in [4, 8, 16, 32, 64] {
        let end = Timestamp::from_ns(clock.now().ns() + life_seconds * 1_000_000_000);
        let text = end.isoformat().replace("+00:00", "Z");
        let (id, secret) = keystone.application_credential("a-member", "a", Some(&text)).await.unwrap();
        let sign_in = SignIn::ApplicationCredential { credential: NamedIn::Id(id), secret };
        let config = keystone.config(Credentials { sign_in, scope: Scope::Default });
        let session =
            nephometer_openstack::keystone::Session::new(config, Arc::new(SystemClock::new())).unwrap();
        let Ok(signed) = session.signed_in().await else { continue };
        while clock.now() <= signed.info.expires_at {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        return signed.token.expose().to_owned();
    }
    panic!("Keystone is too slow to make a token within 64 s");
}
