//! The results as files: a table for people, JSON for programs, a picture for both.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::cases::Load;
use crate::chart;
use crate::summary::{LoadedSummary, RaceSummary, RunnerSummary, Summary};

pub fn write(summary: &Summary, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let tables = markdown(summary)?;
    println!("\n{tables}");
    fs::write(folder.join("http.md"), tables)?;
    fs::write(folder.join("http.json"), serde_json::to_string(summary)? + "\n")?;
    if let Some(race) = chart::race(summary) {
        fs::write(folder.join("http.svg"), chart::draw(race)?)?;
    }
    println!("written to {}", folder.display());
    Ok(())
}

fn markdown(summary: &Summary) -> Result<String, std::fmt::Error> {
    let Summary { version, machine, rounds, seconds, .. } = summary;
    let mut text = format!(
        "# Speed of magic-auth {version}\n\n\
        On {machine}. Rounds: {rounds}, of {seconds} seconds for each server. A figure is the median of the rounds, with \
        their minimum and maximum where they differ; a ratio is taken within each round. Made by `cargo bench --bench http`.\n"
    );
    for race in &summary.races {
        writeln!(text, "\n## {}", race.title)?;
        match race.load {
            Load::Nothing => write_starts(&mut text, race)?,
            _ => write_loads(&mut text, race)?,
        }
    }
    Ok(text)
}

fn write_loads(text: &mut String, race: &RaceSummary) -> std::fmt::Result {
    let Some(first) = race.runners.first().map(|runner| &runner.name) else { return Ok(()) };
    let loaded = || race.runners.iter().filter_map(|runner| Some((runner, runner.loaded.as_ref()?)));
    let (ratio, p99) = (format!("÷ {first}"), format!("p99 ÷ {first}"));
    let header = ["", "a second", &ratio, "magic-auth ÷ it", "p50, ms", "p99, ms", &p99];
    write_header(text, &header)?;
    for (RunnerSummary { name, .. }, loaded) in loaded() {
        let ours = loaded.ours_of_it.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let LoadedSummary { per_second, of_first, p50_ms, p99_ms, p99_of_first, .. } = loaded;
        writeln!(
            text,
            "| {name} | {per_second} | {of_first:.2} | {ours} | {p50_ms:.1} | {p99_ms:.1} | {p99_of_first:.1} |"
        )?;
    }
    let header = [
        "its cost",
        "processor, µs a request",
        "the generator's",
        "memory at rest, MiB",
        "under load",
        "start to first answer, ms",
        "a sync before, ms",
    ];
    write_header(text, &header)?;
    for (RunnerSummary { name, rest_mib, start_ms, sync_ms, .. }, loaded) in loaded() {
        let LoadedSummary { server_us, generator_us, peak_mib, .. } = loaded;
        writeln!(
            text,
            "| {name} | {server_us} | {generator_us} | {rest_mib} | {peak_mib} | {start_ms} | {sync_ms:.2} |"
        )?;
    }
    Ok(())
}

fn write_starts(text: &mut String, race: &RaceSummary) -> std::fmt::Result {
    write_header(text, &["", "start to first answer, ms", "memory then, MiB"])?;
    for RunnerSummary { name, start_ms, rest_mib, .. } in &race.runners {
        writeln!(text, "| {name} | {start_ms} | {rest_mib} |")?;
    }
    Ok(())
}

fn write_header(text: &mut String, titles: &[&str]) -> std::fmt::Result {
    writeln!(text, "\n| {} |\n{}|", titles.join(" | "), "|---".repeat(titles.len()))
}
