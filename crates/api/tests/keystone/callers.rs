//! The kinds of callers, with their tokens.

use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::Authenticator;
use nephometer_model::{Clock as _, SystemClock, Timestamp};
use nephometer_openstack::keystone::{Credentials, DomainRef, NamedIn, Scope, Session, SignIn};
use nephometer_testkit::keystone::Keystone;

const TOKEN: &str = "x-auth-token";
/// What a proxy that has checked a token would say of an administrator, in a client's own words.
const FORGED: [(&str, &str); 7] = [
    ("x-identity-status", "Confirmed"),
    ("x-user-id", "root"),
    ("x-roles", "admin,service"),
    ("x-is-admin-project", "True"),
    ("openstack-system-scope", "all"),
    ("x-remote-user", "admin"),
    ("authorization", "basic YWRtaW46"),
];

/// One kind of caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) name: &'static str,
    /// The caller of the table that it gets the same answers as.
    pub(crate) column: &'static str,
    /// By what it shows who it is, or claims to be.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Whether Keystone vouches for it.
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
    /// Others are to be treated as one of these: a stranger who claims to be somebody else or whose request a service passes
    /// on, the administrator of a domain, and whoever has a token without a scope.
    pub(crate) async fn sign_in() -> Self {
        let keystone = Keystone::shared().unwrap();
        let project = |name: &str| keystone.project(name);
        let domain = Scope::Domain(DomainRef::Id(keystone.domains["other"].clone()));
        let mut all = vec![
            unsigned("nobody", Vec::new()),
            unsigned("garbage", vec![(TOKEN, "gAAAAABnotatoken".to_owned())]),
            unsigned("expired", vec![(TOKEN, expired_token(keystone).await)]),
            unsigned("forger", forged(&keystone.projects["a"])),
            Caller::new(keystone, "stranger", "b-member", project("b")).await.blind(),
            Caller::new(keystone, "reader", "a-reader", project("a")).await,
            Caller::new(keystone, "member", "a-member", project("a")).await,
            Caller::new(keystone, "admin", "c-admin", project("c")).await,
            Caller::new(keystone, "service", "nova", project("service")).await,
            Caller::new(keystone, "system", "system-reader", Scope::System).await.blind(),
        ];
        let named = |name| all.iter().find(|caller: &&Caller| caller.name == name).unwrap().clone();
        let mut pretender = Caller { name: "pretender", ..named("stranger") };
        pretender.headers.extend(forged(&keystone.projects["a"]));
        let mut passed_on = Caller { name: "passed on", ..named("stranger") };
        passed_on.headers.push(("x-service-token", named("service").headers[0].1.clone()));
        let of_domain = Caller::new(keystone, "domain's", "other-admin", domain).await;
        let unscoped = Caller::new(keystone, "unscoped", "b-member", Scope::Unscoped).await.blind();
        all.extend([
            pretender,
            passed_on,
            Caller { column: "admin", ..of_domain },
            Caller { column: "system", ..unscoped },
        ]);
        Self { all, keystone, authenticator: keystone.authenticator().unwrap() }
    }

    /// A caller by name.
    pub(crate) fn named(&self, name: &str) -> &Caller {
        self.all.iter().find(|caller| caller.name == name).unwrap()
    }
}

impl Caller {
    async fn new(keystone: &Keystone, name: &'static str, user: &str, scope: Scope) -> Self {
        let session = keystone.session(user, scope).unwrap();
        let token = session.signed_in().await.unwrap().token.expose().to_owned();
        Self { name, column: name, headers: vec![(TOKEN, token)], is_signed_in: true, is_blind: false }
    }

    fn blind(self) -> Self {
        Self { is_blind: true, ..self }
    }
}

fn unsigned(name: &'static str, headers: Vec<(&'static str, String)>) -> Caller {
    Caller { name, column: name, headers, is_signed_in: false, is_blind: true }
}

fn forged(project: &str) -> Vec<(&'static str, String)> {
    let claims = FORGED.map(|(name, value)| (name, value.to_owned()));
    claims.into_iter().chain([("x-project-id", project.to_owned())]).collect()
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
        let session = Session::new(config, Arc::new(SystemClock::new())).unwrap();
        let Ok(signed) = session.signed_in().await else { continue };
        while clock.now() <= signed.info.expires_at {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        return signed.token.expose().to_owned();
    }
    panic!("Keystone is too slow to make a token within 64 s");
}
