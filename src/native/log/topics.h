// The table of topics: finds a topic, gives a new topic a place, and asks the sequencer to free one when all are taken.
//
//   declarer, under the names lock                          sequencer (topic_places.cc)
//   ┌ generation − 1 │ seal 0 │ fields │ seal │ generation   freeingMark │ full fence │ readers │ discard │ freedMark
//   └ a place that was freed, or never used                  └ or the former mark, if a reader has attached
//
// A place is reused under its next generation, so index and generation identify a topic for ever.
#pragma once

#include <string>
#include <vector>

#include "region/region.h"

namespace ringfence {

// As stored in a topic's slot.
enum Order : uint32_t { orderNone = 0, orderTotal = 2, orderSession = 5 };

// As stored in a topic's slot.
enum Ack : uint32_t { ackNone = 0, ackOrdered = 1, ackDurable = 2 };

// Where the counts of a restored topic begin; zeros for any other.
struct TopicBase {
  uint64_t entries = 0, messages = 0;
  uint64_t nanos = 0;  // when the last of them was committed
};

struct TopicPlace {
  uint32_t index;
  uint64_t generation;
};

struct TopicView {
  uint32_t index;
  uint64_t generation;
  uint32_t order;
  uint32_t ack;
  std::string name;
  TopicBase base{};

  TopicPlace place() const { return {index, generation}; }
};

// The state of a place: `damaged` when it differs from what was declared, so that its name is unknown. The `generation`
// of a free place is that of the next topic declared there. `undecided`: it was free, and another process takes the log
// over, which may say otherwise.
enum class TopicState { free, declared, damaged, undecided };
TopicState topicAt(const Region& region, uint32_t index, TopicView& topic);

// All declared topics, without damaged ones.
std::vector<TopicView> topicsOf(const Region& region);

// `gone` once the sequencer has begun to free that topic, or has freed it; `undecided` while another process takes the log
// over. To be asked behind the fence that follows a claim of the reader.
enum class TopicStay { stays, gone, undecided };
TopicStay topicStays(const Region& region, const Fenced& fenced, TopicPlace place);

// The fault of what has to wait until a process serves the log again.
Status recovering();

// A process keeps it across its attempts to declare one topic: whether it has asked for a place.
struct TopicWish {
  bool made = false;
};

// `full` when every place is taken and none can be freed; `busy`, naming the process, while another process gives a new
// name, and `recovering` while no process serves the log: try again soon. With a `wish` it asks the sequencer to free a place, and fails with `wished` until the
// sequencer has answered.
Status declareTopic(Region& region, const std::string& name, uint32_t order, uint32_t ack, TopicView& topic,
                    TopicWish* wish = nullptr);

// Declares a topic whose counts go on at a base. `invalid` when the region has one of that name.
Status restoreTopic(Region& region, const std::string& name, uint32_t order, uint32_t ack, const TopicBase& base, TopicView& topic);

}  // namespace ringfence
