//! The terminal: drawn when something changed, read for keys, and left as it was.

use std::{io, time::Duration};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{draw::Frame, snapshot::Snapshot, view::View};

/// How long a key is waited for before it is looked what else is new.
const KEY_WAIT: Duration = Duration::from_millis(100);
/// Jobs that a page key moves by.
const PAGE: isize = 10;

/// Gives the terminal back, however the view ends; the hook of a panic does the same first.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows snapshots until a key or somebody else ends it. Blocks.
///
/// # Errors
/// When the terminal cannot be drawn or read.
pub(super) fn show(
    snapshots: &watch::Receiver<Snapshot>,
    stop: &CancellationToken,
    colours: bool,
) -> io::Result<()> {
    let mut snapshots = snapshots.clone();
    let restore = Restore;
    let mut terminal = ratatui::try_init()?;
    let mut view = View::default();
    view.take(snapshots.borrow_and_update().clone());
    let mut changed = true;
    while !stop.is_cancelled() {
        if changed {
            terminal.draw(|frame| {
                frame.render_widget(Frame { view: &view, colours, keys: true }, frame.area());
            })?;
        }
        changed = false;
        if event::poll(KEY_WAIT)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    if ends(key) {
                        break;
                    }
                    changed = press(&mut view, key.code);
                }
                Event::Resize(..) => changed = true,
                _ => {}
            }
        }
        if snapshots.has_changed().unwrap_or(false) {
            view.take(snapshots.borrow_and_update().clone());
            changed = true;
        }
    }
    drop(restore);
    Ok(())
}

fn ends(key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
        || control && matches!(key.code, KeyCode::Char('c' | 'd'))
}

/// Whether the key changed what is shown.
fn press(view: &mut View, key: KeyCode) -> bool {
    match key {
        KeyCode::Left => view.turn_filter(false),
        KeyCode::Right => view.turn_filter(true),
        KeyCode::Up => view.scroll(-1),
        KeyCode::Down => view.scroll(1),
        KeyCode::PageUp => view.scroll(-PAGE),
        KeyCode::PageDown => view.scroll(PAGE),
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_escape_and_control_c_end_it_and_other_keys_do_not() {
        let key = |code| KeyEvent::new(code, KeyModifiers::NONE);
        assert!(ends(key(KeyCode::Char('q'))) && ends(key(KeyCode::Esc)));
        assert!(ends(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        for code in [KeyCode::Char('c'), KeyCode::Up, KeyCode::Enter] {
            assert!(!ends(key(code)), "{code:?}");
        }
        assert!(press(&mut View::default(), KeyCode::Right));
        assert!(!press(&mut View::default(), KeyCode::Char('x')));
    }
}
