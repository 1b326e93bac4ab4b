//! What comes out of a scope's machine, to where it belongs.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jetstream_core::ids::{MemberId, Revision, Ticket};
use jetstream_core::model::Rejection;
use jetstream_core::scope::{Bodies, Commit, Listeners, Outcome, Output};
use jetstream_core::session::Delivery;
use jetstream_core::time::Now;

use super::{Member, ScopeTask};
use crate::scope::handout;

impl ScopeTask {
    pub(super) fn carry_out(&mut self, now: Now) {
        let mut outputs = std::mem::take(&mut self.outputs);
        for output in outputs.drain(..) {
            match output {
                Output::Persist { position, entry } => {
                    if let Some(store) = &mut self.store {
                        store.enter(position, entry);
                    }
                }
                Output::Committed(commit) => self.committed(&commit),
                Output::Reply { member, message, revision, lasting, body } => {
                    self.deliver(now, member, Delivery::Reply { message, revision, lasting, body });
                }
                Output::Broadcast { commit, to, bodies } => {
                    self.broadcast(now, commit.revision, &to, &bodies);
                }
                output => self.carry_out_rare(now, output),
            }
        }
        // The allocation is used again.
        self.outputs = outputs;
    }

    /// Carries out what most changes do not bring about, out of the way of what they do.
    #[inline(never)]
    fn carry_out_rare(&mut self, now: Now, output: Output) {
        match output {
            Output::Limited(limit) => self.metrics.count_limit(Some(limit)),
            Output::State { member, revision, body } => {
                if let Some(member) = self.members.get_mut(&member) {
                    member.informed = true;
                }
                self.deliver(now, member, Delivery::State { revision, body });
            }
            Output::Repair { member, revision, body } => {
                self.deliver(now, member, Delivery::Sync { revision, body });
            }
            Output::Call(call) => self.questions.push(call),
            Output::Sync { to, revision, body } => {
                for member in to.iter() {
                    self.deliver(now, *member, Delivery::Sync { revision, body: body.clone() });
                }
            }
            Output::Recall { to } => {
                for id in to.iter() {
                    // What can go out does, so that only those who are away or slow need a state.
                    if let Some(member) = self.members.get(id) {
                        member.recipient.flush(now);
                    }
                    self.deliver(now, *id, Delivery::Recall);
                }
            }
            Output::Dismissed { member, error } => self.dismiss(now, member, &error),
            Output::Updated { ticket, revision, outcome } => {
                self.answer(ticket, revision, outcome);
            }
            Output::Persist { .. }
            | Output::Committed(_)
            | Output::Reply { .. }
            | Output::Broadcast { .. } => unreachable!("carried out by the caller"),
        }
    }

    fn deliver(&mut self, now: Now, id: MemberId, delivery: Delivery) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.recipient.deliver(now, member.index, delivery);
        member.touch(id, &mut self.touched);
        self.metrics.deliveries.inc();
    }

    fn broadcast(&mut self, now: Now, revision: Revision, to: &Listeners, bodies: &Bodies) {
        let (mut told, mut deliveries) = (std::mem::take(&mut self.told), 0);
        let members = self.members.iter().enumerate();
        let listen = members.filter(|(_, (id, member))| member.informed && to.has(**id));
        told.extend(listen.map(|(place, _)| place));
        let delivery = |member: &Member| {
            let body = bodies.get(member.dialect)?.clone();
            Some(Delivery::Sync { revision, body })
        };
        if self.is_single {
            // Nothing more comes in this batch: whoever was given something before, as its author the reply,
            // goes along.
            let listening = told.len();
            told.extend(self.touched.drain(..).filter_map(|id| {
                let (place, _, member) = self.members.get_full_mut(&id)?;
                member.touched = false;
                Some(place)
            }));
            let member = |turn: usize| Some(&self.members[*told.get(turn)?]);
            let recipients = |turn| Some(&member(turn)?.recipient);
            handout::each(now, recipients, |turn, recipient, departure| {
                let Some(member) = member(turn) else { return };
                if turn >= listening {
                    recipient.flush_with(now, departure);
                } else if let Some(delivery) = delivery(member) {
                    // The session is at hand now; a second round would have to fetch it from memory again.
                    recipient.send(now, member.index, delivery, departure);
                    deliveries += 1;
                }
            });
        } else {
            for (turn, place) in told.iter().enumerate() {
                handout::prefetch(turn, |turn| Some(&self.members[*told.get(turn)?].recipient));
                let Some((id, member)) = self.members.get_index_mut(*place) else { break };
                let Some(delivery) = delivery(member) else { continue };
                member.recipient.deliver(now, member.index, delivery);
                member.touch(*id, &mut self.touched);
                deliveries += 1;
            }
        }
        self.metrics.deliveries.inc_by(deliveries);
        told.clear();
        self.told = told;
    }

    /// Somebody may not be here: its session hears nothing more of this scope.
    fn dismiss(&mut self, now: Now, id: MemberId, error: &Rejection) {
        let Some(member) = self.members.swap_remove(&id) else { return };
        tracing::debug!(scope = %self.status.name, member = %id, %error, "member dismissed");
        self.metrics.members_dismissed.inc();
        self.count_members();
        member.recipient.scope_closed(now, member.index);
        member.recipient.flush(now);
    }

    fn answer(&mut self, ticket: Ticket, revision: Revision, outcome: Outcome) {
        let refused = match &outcome {
            Outcome::Judged { replies, .. } | Outcome::NotSaved { replies, .. } => {
                replies.iter().find_map(|reply| Some(reply.as_ref().err()?.message.clone()))
            }
            Outcome::Moved | Outcome::KeyUsed => Some(String::new()),
        };
        if let Some(why) = refused {
            self.metrics.updates_refused.inc();
            if ticket == Ticket(0) {
                let scope = &self.status.name;
                tracing::warn!(%scope, why, "an update that a service asked for is refused");
            }
        }
        if let Some(answer) = self.answers.remove(&ticket) {
            let _ = answer.send(Ok((revision, outcome)));
        }
    }

    /// A commit is durable: those who follow the scope are told.
    fn committed(&mut self, commit: &Arc<Commit>) {
        self.metrics.commits.inc();
        // Under the lock, so that whoever subscribes knows exactly which revisions it will be told of.
        let mut subscribers = self.status.subscribers.lock();
        self.status.revision.store(commit.revision.0, Ordering::Release);
        subscribers.retain_mut(|subscriber| subscriber.tell(commit));
    }

    /// Sends what members were given, now that the batch is at its end.
    pub(super) async fn flush(&mut self, now: Now) {
        let Self { touched, members, .. } = self;
        touched.retain(|id| {
            members.get_mut(id).is_some_and(|member| std::mem::take(&mut member.touched))
        });
        let recipient = |turn: usize| Some(&members.get(touched.get(turn)?)?.recipient);
        let parts = handout::parts(touched.len());
        if parts == 1 {
            handout::each(now, recipient, |_, recipient, departure| {
                recipient.flush_with(now, departure);
            });
        } else {
            let spread = (0..touched.len()).filter_map(recipient).cloned().collect();
            handout::flush(spread, parts, now).await;
        }
        touched.clear();
    }
}

impl Member {
    fn touch(&mut self, id: MemberId, touched: &mut Vec<MemberId>) {
        if !std::mem::replace(&mut self.touched, true) {
            touched.push(id);
        }
    }
}
