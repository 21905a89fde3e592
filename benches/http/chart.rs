//! The picture: a bar for each server that keeps what it answers, as long as its sign-ins a second, with the least and
//! the most of the rounds. The ceiling is told in words: beside it, all others would look alike.

use std::fmt::Write as _;

use crate::cases::Load;
use crate::summary::{LoadedSummary, RaceSummary, Summary};

const WIDTH: f64 = 760.0;
const NAMES: f64 = 140.0;
const FIGURES: f64 = 150.0;
const ROW: f64 = 34.0;
const TOP: f64 = 62.0;

/// The race that it shows: the sign-ins over 64 connections, or the last ones.
pub fn race(summary: &Summary) -> Option<&RaceSummary> {
    let mut races = summary.races.iter().filter(|race| race.load == Load::SignIn && race.runners.len() > 2);
    races.clone().find(|race| race.title.contains(" 64 ")).or_else(|| races.next_back())
}

pub fn draw(race: &RaceSummary) -> Result<String, std::fmt::Error> {
    let mut bars = race.runners.iter().filter_map(|runner| Some((&runner.name, runner.loaded.as_ref()?)));
    let ceiling = bars.next().map_or(0.0, |(_, loaded)| loaded.per_second.median);
    let bars: Vec<_> = bars.collect();
    let most = bars.iter().map(|(_, loaded)| loaded.per_second.max).fold(1.0, f64::max);
    let scale = (WIDTH - NAMES - FIGURES) / most;
    let height = bars.iter().fold(TOP, |height, _| height + ROW) + 8.0;

    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13">
<title>{title}: durable answers a second</title>
<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>
<text x="14" y="26" font-weight="600" fill="#1f2328">{title}: durable answers a second</text>
<text x="14" y="45" fill="#59636e">The same HTTP server that keeps nothing: {ceiling:.0}</text>
"##,
        title = race.title
    );
    let mut y = TOP;
    for (name, loaded) in bars {
        draw_bar(&mut svg, y, name, loaded, scale)?;
        y += ROW;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn draw_bar(svg: &mut String, y: f64, name: &str, loaded: &LoadedSummary, scale: f64) -> std::fmt::Result {
    const HEIGHT: f64 = ROW - 12.0;
    let colour = if name == "magic-auth" { "#2f6f4f" } else { "#a6adb5" };
    let (rate, p99) = (loaded.per_second, loaded.p99_ms.median);
    let middle = y + HEIGHT / 2.0;
    let [min, max] = [rate.min, rate.max].map(|value| NAMES + value * scale);
    writeln!(
        svg,
        r##"<text x="{:.1}" y="{:.1}" text-anchor="end" fill="#1f2328">{name}</text>
<rect x="{NAMES:.1}" y="{y:.1}" width="{:.1}" height="{HEIGHT:.1}" fill="{colour}"/>
<path d="M{min:.1} {middle:.1}H{max:.1}" stroke="#1f2328" stroke-width="1.5"/>
<text x="{:.1}" y="{:.1}" fill="#59636e">{:.0} · p99 {p99:.0} ms</text>"##,
        NAMES - 10.0,
        middle + 4.5,
        rate.median * scale,
        max + 8.0,
        middle + 4.5,
        rate.median,
    )
}
