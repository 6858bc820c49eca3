//! Turning upstream's configuration files into one of ours: what each of upstream's options becomes, or why it has no
//! counterpart, as comments for the operator. What upstream's programs know is a table each ([`Upstream`]); a further
//! program is a further table in [`UPSTREAMS`].

mod aodh;
mod ceilometer;
mod common;
mod document;
mod gnocchi;
mod ini;
mod upstream;

use anyhow::{Context, Result, bail};

use document::Document;
use ini::Ini;
use upstream::{Source, Upstream};

/// The programs whose files are understood.
const UPSTREAMS: &[&Upstream] = &[&gnocchi::GNOCCHI, &aodh::AODH, &ceilometer::CEILOMETER];

/// The names by which [`File::program`] tells them apart.
pub(crate) fn programs() -> Vec<&'static str> {
    UPSTREAMS.iter().map(|upstream| upstream.name).collect()
}

/// A file of upstream's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File<'a> {
    /// What is told to the reader, and where relative paths begin.
    pub(crate) path: &'a str,
    /// What it says.
    pub(crate) text: &'a str,
    /// Whose it is, where its name and what it sets do not show that: one of [`programs`].
    pub(crate) program: Option<&'a str>,
}

/// One TOML of ours for oslo.config files. Files of the same program are read as that program reads several: what comes
/// later counts. Between programs, what comes first does.
///
/// # Errors
/// A file that is no INI file, or that is no program's.
pub(crate) fn import(files: &[File<'_>]) -> Result<String> {
    let mut sources: Vec<Source<'_>> = Vec::new();
    for file in files {
        let ini = Ini::parse(file.text).with_context(|| file.path.to_owned())?;
        let upstream = recognise(file, &ini)?;
        match sources.iter_mut().find(|source| source.upstream.name == upstream.name) {
            Some(source) => source.ini.extend(ini),
            None => sources.push(Source { path: file.path, upstream, ini }),
        }
    }
    let paths: Vec<_> = files.iter().map(|file| file.path).collect();
    let mut document = Document::new(&paths.join(" and "));
    for source in &sources {
        source.write(&mut document);
    }
    Ok(document.into_toml())
}

/// Whose file it is: what the caller says; else the program whose name the file's name contains; else the one that knows
/// most of what it sets.
fn recognise(file: &File<'_>, ini: &Ini) -> Result<&'static Upstream> {
    let file_name = file.path.rsplit('/').next().unwrap_or_default();
    let named = |upstream: &&&Upstream| match file.program {
        Some(program) => upstream.name == program,
        None => file_name.contains(upstream.name),
    };
    if let Some(upstream) = UPSTREAMS.iter().find(named) {
        return Ok(upstream);
    }
    let knows =
        |upstream: &Upstream| ini.entries().iter().filter(|e| upstream.names(&e.section, &e.option)).count();
    let counts: Vec<usize> = UPSTREAMS.iter().map(|upstream| knows(upstream)).collect();
    let most = counts.iter().copied().max().unwrap_or_default();
    let mut best = UPSTREAMS.iter().zip(&counts).filter(|(_, count)| **count == most);
    match (file.program, best.next(), best.next()) {
        (None, Some((upstream, _)), None) => Ok(upstream),
        _ => {
            bail!("{}: it does not show whose file it is: say --from {}", file.path, programs().join(" or "))
        }
    }
}

#[cfg(test)]
mod tests;
