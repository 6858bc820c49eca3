//! The command line.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use nephometer_model::{MeterType, SystemClock, Timestamp};

use crate::bench::BenchArgs;
use crate::import;
use crate::services::{self, Service};

/// Measures cloud: metrics, resources and aggregates with Gnocchi's API, in one program.
#[derive(Debug, Parser)]
#[command(name = "nephometer", version, max_term_width = 100, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// Configuration file (TOML); without it /etc/nephometer/nephometer.toml, where that exists
    #[arg(short, long, global = true, value_name = "FILE", env = "NEPHOMETER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Sets one key, over file and environment; may be repeated
    #[arg(short, long, global = true, value_name = "SECTION.KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Service(ServiceCommand),
    /// Brings the index to this version's schema and, where it is empty, creates the default archive policies
    Upgrade,
    /// Checks the configuration and the policy files, and starts nothing
    CheckConfig(CheckConfigArgs),
    /// Tells how the processes of this configuration on this host are
    Status(StatusArgs),
    /// Lists every meter that can be polled, with its type, its unit and where it comes from
    Meters(MetersArgs),
    /// Sends one sample to where polled ones go
    SendSample(SendSampleArgs),
    /// Puts load on a server and reports rates, CPU time and latencies
    Bench(Box<BenchArgs>),
    /// Shows and explains who may do what
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Shows the default, the current or an imported configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prints the version
    Version,
}

/// Services: each runs its roles in this process until SIGTERM or SIGINT.
#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Runs every role in this process until SIGTERM or SIGINT
    Serve(ServeArgs),
    /// Runs the metric and the alarm API with the measure store, and what must live beside it; alarms are left to others
    Api,
    /// Runs the alarm API alone
    AlarmApi,
    /// Decides alarms, together with any other evaluators
    Evaluator,
    /// Hears events on the message bus and fires event alarms
    Listener,
    /// Carries messages of alarms to their targets
    Notifier,
    /// Forgets what is old of alarms' history and messages
    Expirer,
    /// Polls guests, the cloud or this machine, at the intervals of polling.yaml
    Polling(PollingArgs),
}

/// Arguments of `polling`.
#[derive(Debug, Args)]
pub(crate) struct PollingArgs {
    /// What is polled, in place of polling.namespaces: compute, central, ipmi; may be repeated
    #[arg(short, long = "namespace", alias = "polling-namespaces", value_name = "NAMESPACE")]
    pub(crate) namespaces: Vec<String>,
    /// Runs one cycle of each interval, prints what came of it, and ends
    #[arg(long)]
    pub(crate) once: bool,
    /// Prints the samples of that cycle instead of handing them on
    #[arg(long, requires = "once")]
    pub(crate) dry_run: bool,
    /// Prints JSON
    #[arg(long, requires = "once")]
    pub(crate) json: bool,
}

/// Arguments of `send-sample`; upstream's.
#[derive(Debug, Args)]
pub(crate) struct SendSampleArgs {
    /// The meter's name
    #[arg(short = 'n', long = "sample-name", value_name = "NAME")]
    pub(crate) name: String,
    /// Gauge, delta or cumulative
    #[arg(short = 'y', long = "sample-type", value_name = "TYPE", default_value = "gauge")]
    pub(crate) meter_type: MeterType,
    /// The meter's unit
    #[arg(short = 'U', long = "sample-unit", value_name = "UNIT", default_value = "")]
    pub(crate) unit: String,
    /// The reading
    #[arg(
        short = 'l',
        long = "sample-volume",
        value_name = "VOLUME",
        default_value_t = 1,
        allow_negative_numbers = true
    )]
    pub(crate) volume: i64,
    /// What was measured
    #[arg(short = 'r', long = "sample-resource", value_name = "RESOURCE")]
    pub(crate) resource: String,
    /// Who uses it
    #[arg(short = 'u', long = "sample-user", value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Whose it is
    #[arg(short = 'p', long = "sample-project", value_name = "PROJECT")]
    pub(crate) project: Option<String>,
    /// When, ISO 8601; now unless given
    #[arg(short = 'i', long = "sample-timestamp", value_name = "TIME")]
    pub(crate) timestamp: Option<String>,
    /// What is known of the resource, a dict as Python or JSON writes it
    #[arg(short = 'm', long = "sample-metadata", value_name = "DICT")]
    pub(crate) metadata: Option<String>,
}

/// Arguments of `meters`.
#[derive(Debug, Args)]
pub(crate) struct MetersArgs {
    /// Only meters of these namespaces; may be repeated
    #[arg(short, long = "namespace", value_name = "NAMESPACE")]
    pub(crate) namespaces: Vec<String>,
    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl ServiceCommand {
    /// What is to be run.
    pub(crate) fn service(&self) -> &'static Service {
        match self {
            Self::Serve(_) => &services::SERVE,
            Self::Api => &services::API,
            Self::AlarmApi => &services::ALARM_API,
            Self::Evaluator => &services::EVALUATOR,
            Self::Listener => &services::LISTENER,
            Self::Notifier => &services::NOTIFIER,
            Self::Expirer => &services::EXPIRER,
            Self::Polling(_) => &services::POLLING,
        }
    }

    /// By which clock.
    pub(crate) fn clock(&self) -> SystemClock {
        match self {
            Self::Serve(ServeArgs { hasten: Some(clock) }) => *clock,
            _ => SystemClock::new(),
        }
    }
}

/// Arguments of `check-config`.
#[derive(Debug, Args)]
pub(crate) struct CheckConfigArgs {
    /// Services (subcommands) that are to run with it; tells what each stands on
    #[arg(value_name = "SERVICE", value_parser = service)]
    pub(crate) services: Vec<&'static Service>,
}

fn service(name: &str) -> Result<&'static Service, String> {
    let names = || services::ALL.map(|service| service.name).join(", ");
    let found = services::ALL.into_iter().find(|service| service.name == name);
    found.ok_or_else(|| format!("expected one of {}", names()))
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// For rehearsals (`bench retention`): time passes TIMES as fast as the machine's since FROM, in seconds since 1970
    #[arg(long, hide = true, value_name = "FROM,TIMES", value_parser = hastened)]
    pub(crate) hasten: Option<SystemClock>,
}

fn hastened(text: &str) -> Result<SystemClock, String> {
    let parse = |(from, times): (&str, &str)| Some((from.parse::<i64>().ok()?, times.parse().ok()?));
    let (from, times) = text.split_once(',').and_then(parse).ok_or("expected FROM,TIMES")?;
    Ok(SystemClock::hastened(Timestamp::from_ns(from.saturating_mul(1_000_000_000)), times))
}

/// Arguments of `policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Lists the rules in force: what they say, where that comes from, and which routes ask for them
    List(PolicyArgs),
    /// Tells whether a caller would be let through, and why
    Check(PolicyCheckArgs),
    /// Prints a policy file that says what the defaults say, all commented out
    Sample {
        /// The API whose rules are meant
        #[arg(long, value_enum, default_value_t)]
        api: PolicyApi,
    },
}

/// APIs that have rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyApi {
    /// Metrics, resources, measures
    #[default]
    Metric,
    /// Alarms (their rules; the API itself is not part of this version)
    Alarm,
}

/// Which rules are meant.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// The API whose rules are meant
    #[arg(long, value_enum, default_value_t)]
    pub(crate) api: PolicyApi,
    /// Policy file to read in place of the configured ones; may be repeated, a later one wins
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `policy check`.
#[derive(Debug, Args)]
pub(crate) struct PolicyCheckArgs {
    /// The rule, like "get metric"
    pub(crate) rule: String,
    #[command(flatten)]
    pub(crate) rules: PolicyArgs,
    /// The caller's roles
    #[arg(long, value_delimiter = ',')]
    pub(crate) roles: Vec<String>,
    /// The caller's user id
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// The project that the caller's token is scoped to
    #[arg(long)]
    pub(crate) project: Option<String>,
    /// The domain that the caller's token is scoped to
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// The caller's token is scoped to the whole deployment
    #[arg(long)]
    pub(crate) system: bool,
    /// An attribute of what is asked for, like project_id=P, creator=USER:PROJECT or resource.project_id=P; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = named_value)]
    pub(crate) target: Vec<(String, String)>,
}

fn named_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Arguments of `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Prints every key with its default and what it means
    Default,
    /// Prints the configuration that flags, environment and file make together
    Show,
    /// Turns gnocchi.conf, aodh.conf, ceilometer.conf or several of them into one configuration of ours, with comments on what has no counterpart
    Import {
        /// Whose files they are, where their names and what they set do not show it
        #[arg(long, value_name = "PROGRAM", value_parser = PossibleValuesParser::new(import::programs()))]
        from: Option<String>,
        /// The files to read; of several of one program what comes later counts, of several programs what comes first
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["nephometer", "serve", "--set", "a.b=c", "-s", "d.e=f"]).unwrap();
        assert_eq!(cli.global.set, ["a.b=c", "d.e=f"]);
        let cli = Cli::try_parse_from(["nephometer", "bench", "reads", "--seconds", "0.5"]).unwrap();
        let Command::Bench(args) = cli.command else { panic!() };
        assert_eq!(args.workloads, ["reads"]);
        let check =
            ["nephometer", "policy", "check", "get metric", "--roles", "a,b", "--target", "creator=u:p=q"];
        let Command::Policy(PolicyCommand::Check(args)) = Cli::try_parse_from(check).unwrap().command else {
            panic!()
        };
        assert_eq!((args.roles.len(), args.target[0].1.as_str()), (2, "u:p=q"));
        assert!(Cli::try_parse_from(["nephometer", "bench", "--workers", "0"]).is_err());
        assert!(Cli::try_parse_from(["nephometer", "serve", "--hasten", "1700000000,60"]).is_ok());
        for service in services::ALL {
            let Command::Service(command) =
                Cli::try_parse_from(["nephometer", service.name]).unwrap().command
            else {
                panic!("{}", service.name)
            };
            assert_eq!(command.service().name, service.name);
        }
        assert!(Cli::try_parse_from(["nephometer", "check-config", "api", "evaluator"]).is_ok());
        assert!(Cli::try_parse_from(["nephometer", "check-config", "nobody"]).is_err());
        assert!(Cli::try_parse_from(["nephometer", "serve", "--hasten", "60"]).is_err());
    }
}
