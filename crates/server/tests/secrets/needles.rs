//! What must not be found, in the forms in which it could be.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Planted texts: each as it is, in hexadecimal, and in base 64 wherever it may begin in what was encoded.
pub(crate) struct Needles(Vec<(String, String)>);

impl Needles {
    pub(crate) fn new(secrets: &[&str]) -> Self {
        Self(
            secrets
                .iter()
                .flat_map(|secret| forms(secret).map(|form| ((*secret).to_owned(), form)))
                .collect(),
        )
    }

    /// Fails the test where `bytes`, which come from `place`, hold one.
    pub(crate) fn check(&self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for (secret, form) in &self.0 {
            if let Some(at) = text.find(form.as_str()) {
                let around =
                    |index: usize| text.char_indices().map(|(i, _)| i).rfind(|i| *i <= index).unwrap_or(0);
                let (from, to) =
                    (around(at.saturating_sub(300)), around((at + form.len() + 100).min(text.len() - 1)));
                panic!("{place} shows {secret} as {form}: …{}…", &text[from..to]);
            }
        }
    }

    /// The same for every file below `directory`.
    pub(crate) fn check_files(&self, directory: &Path) {
        let mut found = 0;
        let mut open = vec![directory.to_owned()];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    found += 1;
                    self.check(&path.display().to_string(), &std::fs::read(&path).unwrap());
                }
            }
        }
        assert!(found > 0, "nothing in {}", directory.display());
    }
}

fn forms(secret: &str) -> impl Iterator<Item = String> {
    let mut forms = vec![secret.to_owned(), secret.bytes().map(|byte| format!("{byte:02x}")).collect()];
    for before in 0..3 {
        let bytes = [vec![0; before], secret.as_bytes().to_vec()].concat();
        // Characters that depend on nothing but the secret.
        let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for engine in [STANDARD, URL_SAFE] {
            forms.push(engine.encode(&bytes)[from..to].to_owned());
        }
    }
    forms.into_iter()
}

#[test]
fn every_form_is_found() {
    let needles = Needles::new(&["hush>>hush??hush"]);
    let found = |text: String| std::panic::catch_unwind(|| needles.check("here", text.as_bytes())).is_err();
    for before in ["", "a", "ab", "abc", "user:"] {
        let text = format!("{before}hush>>hush??hush and more");
        assert!(
            found(text.clone()) && found(STANDARD.encode(&text)) && found(URL_SAFE.encode(&text)),
            "{before}"
        );
    }
    assert!(!found("hush".to_owned()));
}
