// A region's log: its topics, and the opening of sessions, readers and the sequencer.
#include <cmath>
#include <cstring>

#include "fault.h"
#include "log/identities.h"
#include "log/sequencer/broker_grants.h"
#include "log_snapshot.h"
#include "reader_handle.h"
#include "region_handle.h"
#include "sequencer_handle.h"
#include "session_handle.h"
#include "task.h"
#include "topic_argument.h"
#include "values.h"

namespace ringfence::binding {

namespace {


}  // namespace

// --- topics ------------------------------------------------------------------------------------------------------

Napi::Value RegionHandle::topics(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  return region == nullptr ? Napi::Value() : listOf(info.Env(), topicsOf(*region), topicObject);
}

// declareTopic(name, order, ack, wished): the topic, or undefined while the sequencer, which was asked for a place, has
// not answered; then call again with `wished`
Napi::Value RegionHandle::declareTopic(const Napi::CallbackInfo& info) {
  Region* region = open(info.Env());
  if (region == nullptr) return {};
  TopicView topic;
  TopicWish wish{info[3].As<Napi::Boolean>()};
  const Status status = ringfence::declareTopic(*region, text(info[0]), word(info[1]), word(info[2]), topic, &wish);
  if (status.ok()) return topicObject(info.Env(), topic);
  return std::strcmp(status.fault, "wished") == 0 ? Napi::Value() : throwFault(info.Env(), status);
}

// restoreTopic(name, order, ack, entries, messages, millis): declares a topic whose counts go on there
Napi::Value RegionHandle::restoreTopic(const Napi::CallbackInfo& info) {
  Region* region = open(info.Env());
  if (region == nullptr) return {};
  TopicView topic;
  const auto micros = static_cast<uint64_t>(std::ceil(info[5].As<Napi::Number>().DoubleValue() * 1000));
  const TopicBase base{natural(info[3]), natural(info[4]), micros * 1000};
  const Status status = ringfence::restoreTopic(*region, text(info[0]), word(info[1]), word(info[2]), base, topic);
  return status.ok() ? topicObject(info.Env(), topic) : throwFault(info.Env(), status);
}

// restoreIdentity(topic, topicGeneration, name, committed)
Napi::Value RegionHandle::restoreIdentity(const Napi::CallbackInfo& info) {
  Region* region = open(info.Env());
  TopicPlace topic{};
  if (region == nullptr || !placeAt(info, *region, 0, topic)) return {};
  IdentityView identity;
  const Status status = ringfence::restoreIdentity(*region, topic, text(info[2]), natural(info[3]), identity);
  return status.ok() ? Napi::Boolean::New(info.Env(), true) : throwFault(info.Env(), status);
}

// identityName(identity, generation): empty when another has its slot
Napi::Value RegionHandle::identityName(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  const uint32_t identity = word(info[0]);
  if (region == nullptr || identity >= region->layout().identities()) return Napi::String::New(info.Env(), "");
  IdentityView view{};
  const bool known = identityAt(*region, identity, view) == IdentityState::declared && view.generation == natural(info[1]);
  return Napi::String::New(info.Env(), known ? view.name : "");
}

// keepTopic(topic, topicGeneration): false when the topic has been freed
Napi::Value RegionHandle::keepTopic(const Napi::CallbackInfo& info) {
  if (sequencer_ == nullptr) return throwFault(info.Env(), Status::failed("notServing", "no sequencer runs here"));
  return Napi::Boolean::New(info.Env(), sequencer_->keepTopic({word(info[0]), natural(info[1])}));
}

// --- sessions and readers ----------------------------------------------------------------------------------------

// declareIdentity(topic, topicGeneration, name): its place in the table
Napi::Value RegionHandle::declareIdentity(const Napi::CallbackInfo& info) {
  Region* region = open(info.Env());
  TopicPlace topic{};
  if (region == nullptr || !placeAt(info, *region, 0, topic)) return {};
  IdentityView identity;
  const Status status = ringfence::declareIdentity(*region, topic, text(info[2]), identity);
  if (!status.ok()) return throwFault(info.Env(), status);
  auto out = Napi::Object::New(info.Env());
  out.Set("index", number(info.Env(), identity.index));
  out.Set("generation", number(info.Env(), identity.generation));
  return out;
}

// openSession(topic, topicGeneration, identity, identityGeneration, continues): identity -1 claims none
Napi::Value RegionHandle::openSession(const Napi::CallbackInfo& info) {
  Region* region = open(info.Env());
  TopicPlace topic{};
  if (region == nullptr || !placeAt(info, *region, 0, topic)) return {};
  const IdentityClaim identity{info[2].As<Napi::Number>().Int64Value(), natural(info[3]), natural(info[4])};
  if (identity.slot >= int64_t{region->layout().identities()}) {
    return throwFault(info.Env(), Status::failed("invalid", "there is no such identity"));
  }
  Claim claim;
  const Status status = claimClient(*region, topic, claim, identity);
  if (!status.ok()) return throwFault(info.Env(), status);
  return SessionHandle::make(info.Env(), std::make_unique<LaneWriter>(region_, claim));
}

// Session slots that the sequencer will free with its next look.
Napi::Value RegionHandle::sessionsEnding(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  return region == nullptr ? Napi::Value() : number(info.Env(), ringfence::sessionsEnding(*region));
}

// openReader(topic, topicGeneration, name, from, position, durable, replica, required, lapped): of a replica's reader there are
// its key, and how many replicas its server requires; 0 of a subscriber
Napi::Value RegionHandle::openReader(const Napi::CallbackInfo& info) {
  Region* region = open(info.Env());
  TopicPlace topic{};
  if (region == nullptr || !placeAt(info, *region, 0, topic)) return {};
  Claim claim;
  Status status = claimReader(*region, topic, text(info[2]), claim);
  if (!status.ok()) return throwFault(info.Env(), status);
  const ReaderKind kind{{natural(info[6]), natural(info[7])}, info[5].As<Napi::Boolean>(), info[8].ToBoolean()};
  std::unique_ptr<TopicReader> reader = readerOf(region_, topic, claim, kind);
  status = reader->attach(static_cast<From>(word(info[3])), natural(info[4]));
  return status.ok() ? ReaderHandle::make(info.Env(), std::move(reader)) : throwFault(info.Env(), status);
}

// readersEnding(topic): reader slots that the sequencer will free with its next look
Napi::Value RegionHandle::readersEnding(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  const uint32_t topic = word(info[0]);
  if (region == nullptr || topic >= region->layout().geometry.topics) return {};
  return number(info.Env(), ringfence::readersEnding(*region, topic));
}

// --- serving -----------------------------------------------------------------------------------------------------

// startSequencer(epochMicros, manual, ignoreSessionOrder, leaseMillis, suspected, copies, ownReplicas): a promise; one
// sequencer for each handle
Napi::Value RegionHandle::startSequencer(const Napi::CallbackInfo& info) {
  if (open(info.Env()) == nullptr) return {};
  if (sequencer_ != nullptr && !sequencer_->failed()) {
    return throwFault(info.Env(), Status::failed("busy", "its sequencer runs here already"));
  }
  SequencerOptions options;
  options.epochMicros = natural(info[0]);
  options.manual = info[1].As<Napi::Boolean>();
  options.ignoreSessionOrder = info[2].As<Napi::Boolean>();
  options.leaseMillis = natural(info[3]);
  const uint64_t suspected = natural(info[4]);
  options.copies = word(info[5]);
  options.ownReplicas = word(info[6]);
  sequencer_ = std::make_shared<Sequencer>(region_, options);
  return Task::start(
      info.Env(), [sequencer = sequencer_, suspected] { return sequencer->start(suspected); },
      [region = region_, sequencer = sequencer_](Napi::Env env) -> Napi::Value {
        return SequencerHandle::make(env, region, sequencer);
      });
}

// grantLanes(broker): grants lanes to adopted sessions, and returns their number
Napi::Value RegionHandle::grantLanes(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  const uint32_t broker = word(info[0]);
  if (region == nullptr || broker >= region->layout().geometry.brokers) return {};
  return number(info.Env(), ringfence::grantLanes(*region, broker));
}

Napi::Value RegionHandle::snapshot(const Napi::CallbackInfo& info) {
  const Region* region = open(info.Env());
  return region == nullptr ? Napi::Value() : logSnapshot(info.Env(), *region);
}

}  // namespace ringfence::binding
