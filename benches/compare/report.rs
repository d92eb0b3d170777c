//! What a run prints, and the JSON lines beside it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value, json};

use crate::{
    Result,
    args::Name,
    figures::{Spread, count, digits},
    machine,
};

/// One line to standard output.
pub fn line(text: &str) -> Result<()> {
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(())
}

/// One line to standard error.
pub fn note(text: &str) {
    // There is nowhere else to tell it.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A line of what was found beside.
pub fn say(label: &str, text: &str) -> Result<()> {
    line(&format!("{label:<11}{text}"))
}

/// A yardstick that is not there, and how to get it.
pub fn missing(what: &str) -> Result<()> {
    let rule = "!".repeat(78);
    line(&rule)?;
    line(&format!("!! {what} IS NOT INSTALLED, so there is no ratio to it."))?;
    line("!! Install it with: scripts/yardsticks.sh")?;
    line(&rule)
}

/// The figures of one side, one a run.
#[derive(Clone, Debug)]
pub struct Side {
    pub what: String,
    pub values: Vec<f64>,
}

impl Side {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), values: Vec::new() }
    }

    pub fn median(&self) -> Option<f64> {
        Spread::of(&self.values).map(|spread| spread.median)
    }
}

/// What the ratio ours / yardstick should be; without a yardstick, what ours should be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    AtMost(f64, f64),
    AtLeast(f64, f64),
    /// At most that; there is no dream.
    Within(f64),
    /// Nothing was asked for.
    Open,
}

/// One comparison.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What was compared, in a few words.
    pub case: String,
    pub unit: &'static str,
    /// Rows, bytes, seed: whatever both sides were given.
    pub input: Value,
    pub ours: Side,
    /// `None` where the goal is absolute, or the yardstick is missing and `missing` tells which.
    pub yardstick: Option<Side>,
    pub missing: Option<&'static str>,
    pub goal: Goal,
}

/// Prints, and keeps the file of JSON lines.
pub struct Report {
    json: Option<File>,
    machine: Value,
    name: Option<Name>,
    /// What was told of the yardsticks of this measurement.
    yardsticks: Vec<String>,
}

impl Report {
    pub fn new(json: Option<&Path>) -> Result<Self> {
        let open = |path| OpenOptions::new().create(true).append(true).open(path);
        let json = json.map(open).transpose()?;
        Ok(Self { json, machine: Value::Null, name: None, yardsticks: Vec::new() })
    }

    /// Tells what this runs on.
    pub fn machine(&mut self, dir: &Path) -> Result<()> {
        self.machine = machine::describe(dir)?;
        line(&format!("machine    {}, load {:.1}", pairs(&self.machine), machine::load()))
    }

    pub fn begin(&mut self, name: Name) -> Result<()> {
        self.name = Some(name);
        self.yardsticks.clear();
        line(&format!("\n== {}", name.as_str()))
    }

    /// Version and settings of a yardstick.
    pub fn yardstick(&mut self, text: String) -> Result<()> {
        say("yardstick", &text)?;
        self.yardsticks.push(text);
        Ok(())
    }

    /// Prints a comparison and writes its line.
    pub fn compare(&mut self, comparison: &Comparison) -> Result<()> {
        let Comparison { case, unit, input, ours, yardstick, missing, goal } = comparison;
        line(case)?;
        line(&format!("  input      {}", pairs(input)))?;
        side("cvrsd", ours, unit)?;
        if let Some(yardstick) = yardstick {
            side("yardstick", yardstick, unit)?;
        }
        let median = ours.median().ok_or("nothing was measured")?;
        let other = yardstick.as_ref().and_then(Side::median);
        let ratio = other.map(|other| median / other);
        let judged = if missing.is_some() { None } else { Some(ratio.unwrap_or(median)) };
        let verdict = match (ratio, missing) {
            (_, Some(what)) => format!("none: {what} is not installed"),
            (Some(ratio), None) => format!("{} ×", digits(ratio)),
            (None, None) => format!("{} {unit}, absolute", digits(median)),
        };
        line(&format!("  ratio      {verdict}{}", goal.told(judged)))?;
        self.write(comparison, ratio, judged)
    }

    fn write(&mut self, of: &Comparison, ratio: Option<f64>, judged: Option<f64>) -> Result<()> {
        let Some(file) = &mut self.json else { return Ok(()) };
        let (target, dream) = of.goal.figures();
        let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut object = Map::new();
        object.insert("time".to_owned(), json!(time));
        object.insert("name".to_owned(), json!(self.name.map(Name::as_str)));
        let more = json!({
            "case": of.case,
            "unit": of.unit,
            "input": of.input,
            "ours": of.ours.values,
            "ours_what": of.ours.what,
            "yardstick": of.yardstick.as_ref().map(|side| &side.values),
            "yardstick_what": of.yardstick.as_ref().map(|side| &side.what),
            "yardsticks": self.yardsticks,
            "missing": of.missing,
            "ratio": ratio,
            "target": target,
            "dream": dream,
            "meets_target": target.and_then(|_| judged.map(|value| of.goal.meets_target(value))),
            "meets_dream": dream.and_then(|_| judged.map(|value| of.goal.meets_dream(value))),
            "load": machine::load(),
            "machine": self.machine,
        });
        if let Value::Object(more) = more {
            object.extend(more);
        }
        writeln!(file, "{}", Value::Object(object))?;
        Ok(())
    }
}

impl Goal {
    fn figures(self) -> (Option<f64>, Option<f64>) {
        match self {
            Self::AtMost(target, dream) | Self::AtLeast(target, dream) => {
                (Some(target), Some(dream))
            }
            Self::Within(target) => (Some(target), None),
            Self::Open => (None, None),
        }
    }

    fn meets_target(self, value: f64) -> bool {
        match self {
            Self::AtMost(target, _) | Self::Within(target) => value <= target,
            Self::AtLeast(target, _) => value >= target,
            Self::Open => true,
        }
    }

    fn meets_dream(self, value: f64) -> bool {
        match self {
            Self::AtMost(_, dream) => value <= dream,
            Self::AtLeast(_, dream) => value >= dream,
            Self::Within(_) | Self::Open => true,
        }
    }

    /// Target and dream, and whether the value meets them.
    fn told(self, value: Option<f64>) -> String {
        let sign = if matches!(self, Self::AtLeast(..)) { "≥" } else { "≤" };
        let word = |met| match value {
            None => "",
            Some(_) if met => " met",
            Some(_) => " MISSED",
        };
        let value = value.unwrap_or(f64::NAN);
        let (target, dream) = self.figures();
        let mut text = String::new();
        if let Some(target) = target {
            let met = word(self.meets_target(value));
            text = format!("   target {sign} {}{met}", digits(target));
        }
        if let Some(dream) = dream {
            let met = word(self.meets_dream(value));
            text = format!("{text}   dream {sign} {}{met}", digits(dream));
        }
        text
    }
}

fn side(label: &str, side: &Side, unit: &str) -> Result<()> {
    let spread = Spread::of(&side.values).ok_or("nothing was measured")?;
    line(&format!(
        "  {label:<10} min {:>7}  median {:>7}  max {:>7} {unit}, n={}: {}",
        digits(spread.min),
        digits(spread.median),
        digits(spread.max),
        side.values.len(),
        side.what,
    ))
}

/// `name value, name value`.
fn pairs(of: &Value) -> String {
    let Value::Object(map) = of else { return of.to_string() };
    let told: Vec<_> = map.iter().map(|(name, value)| pair(name, value)).collect();
    told.join(", ")
}

fn pair(name: &str, value: &Value) -> String {
    let name = name.replace('_', " ");
    match value {
        Value::String(text) => format!("{name} {text}"),
        Value::Number(n) if n.is_u64() => format!("{name} {}", count(n.as_u64().unwrap_or(0))),
        other => format!("{name} {other}"),
    }
}
