//! What must hold in every world, one property a file.
//!
//! Properties are told everything that happens and look at the whole world when it has come to rest. They
//! know the protocol and not the code: each has its own, simple idea of what should be.

mod bounds;
mod converges;
mod decided;
mod gate;
mod graph;
mod kept;
mod lasts;
mod once;
mod order;
mod outcome;
mod paced;
mod told;
mod veiled;
mod whole;

use crate::event::Event;
use crate::world::{Host, Settings, World};

/// Something that must hold.
trait Property: std::fmt::Debug {
    /// Its name in reports.
    fn name(&self) -> &'static str;

    /// Something happened.
    fn observe(&mut self, event: &Event<'_>) -> Result<(), String>;

    /// The world has come to rest.
    fn finish(&mut self, _world: &World) -> Result<(), String> {
        Ok(())
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Properties(Vec<Box<dyn Property>>);

impl Properties {
    pub(crate) fn new(settings: &Settings, hosts: &[Host]) -> Self {
        if settings.veiled {
            // Where members see different things and nothing is stored, other things hold.
            return Self(vec![
                Box::new(once::Once::default()),
                Box::new(told::ToldOnce::default()),
                Box::new(graph::Sound::new(hosts, settings)),
                Box::new(lasts::Lasts::new(settings)),
                Box::new(outcome::Outcome::default()),
                Box::new(decided::Decided::default()),
                Box::new(veiled::Veiled::new(hosts)),
            ]);
        }
        Self(vec![
            Box::new(once::Once::default()),
            Box::new(told::ToldOnce::default()),
            Box::new(order::Order::default()),
            Box::new(gate::Gate::new(hosts)),
            Box::new(graph::Sound::new(hosts, settings)),
            Box::new(whole::Whole::new(hosts, settings)),
            Box::new(lasts::Lasts::new(settings)),
            Box::new(outcome::Outcome::default()),
            Box::new(decided::Decided::default()),
            Box::new(bounds::Bounds::new(settings)),
            Box::new(paced::Paced::new(settings)),
            Box::new(converges::Converges),
            Box::new(kept::Kept),
        ])
    }

    /// Something happened.
    ///
    /// # Errors
    ///
    /// The name of the property that does not hold, and how.
    pub(crate) fn observe(&mut self, event: &Event<'_>) -> Result<(), String> {
        self.0.iter_mut().try_for_each(|property| {
            property.observe(event).map_err(|why| format!("{}: {why}", property.name()))
        })
    }

    /// The world has come to rest.
    ///
    /// # Errors
    ///
    /// As [`observe`](Self::observe).
    pub(crate) fn finish(&mut self, world: &World) -> Result<(), String> {
        self.0.iter_mut().try_for_each(|property| {
            property.finish(world).map_err(|why| format!("{}: {why}", property.name()))
        })
    }
}
