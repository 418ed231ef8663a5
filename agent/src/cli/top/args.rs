//! The options of `top`.

use clap::{Args, builder::BoolishValueParser};

use crate::cli::{
    args::OutputArgs,
    names::NamesArgs,
    selection::SelectionArgs,
    value::{Interval, Probes},
};

/// What is said behind the options.
pub(in crate::cli) const TOP_HELP: &str = "Keys: arrows and Enter to go in, Esc to go back, < > to sort, / to filter, \
    Space to pause, ? for help, q to end.\n\n\
    Examples:\n  \
    goroscope top\n  \
    goroscope top --exe '/opt/shop/*' --interval 5s\n  \
    goroscope top --pid 4242 --probes off\n  \
    goroscope top --once\n  \
    goroscope top --output json | jq -c '.processes[] | [.pid, .goroutines, .growth_per_second]'";

#[derive(Debug, Args)]
pub(in crate::cli) struct TopArgs {
    #[command(flatten)]
    pub(in crate::cli) selection: SelectionArgs,
    #[command(flatten)]
    pub(in crate::cli) names: NamesArgs,
    #[command(flatten)]
    pub(in crate::cli) view: ViewArgs,
    #[command(flatten)]
    pub(in crate::cli) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "The view")]
pub(in crate::cli) struct ViewArgs {
    /// Time between two looks [default: 1s]
    #[arg(long, value_name = "TIME", env = "GOROSCOPE_INTERVAL", hide_env_values = true)]
    pub(in crate::cli) interval: Option<Interval>,
    /// Print what one interval brings, and end; needs no terminal
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        env = "GOROSCOPE_ONCE",
        hide_env_values = true
    )]
    pub(in crate::cli) once: Option<bool>,
    /// Whether to attach uprobes, which count births and ends by creation site [default: auto]
    #[arg(long, value_name = "MODE", env = "GOROSCOPE_PROBES", hide_env_values = true)]
    pub(in crate::cli) probes: Option<Probes>,
}
