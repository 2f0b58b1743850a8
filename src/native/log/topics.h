// The table of topics: finds a name, gives a new one its place, and asks the sequencer for a place when all are taken.
//
//   declarer, under the names lock                          sequencer (topic_places.cc)
//   ┌ generation − 1 │ seal 0 │ fields │ seal │ generation   freeingMark │ full fence │ readers │ discard │ freedMark
//   └ a place that was freed, or never used                  └ or the mark of before, where a reader has come
//
// A place is used again under its next generation: index and generation name a topic for good.
#pragma once

#include <string>
#include <vector>

#include "region/region.h"

namespace ringfence {

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

  TopicPlace place() const { return {index, generation}; }
};

// What lies in a place of the table: `damaged` where it is not what was declared, so that its name is not known. Of a
// free place `generation` is the one under which the next topic is declared there.
enum class TopicState { free, declared, damaged };
TopicState topicAt(const Region& region, uint32_t index, TopicView& topic);

// Without those that are damaged.
std::vector<TopicView> topicsOf(const Region& region);

// False once the sequencer looks whether it may free that topic, or has freed it.
bool topicStays(const Region& region, TopicPlace place);

// Held by a process across its trials to declare one topic: whether it has asked for a place.
struct TopicWish {
  bool made = false;
};

// `full` when every place is taken and none can be freed; `busy`, with its holder, while another process gives a new
// name: try again in a moment. Without a wish all places are only looked at; with one the sequencer is asked to free
// one: `wished` says that it has not answered yet.
Status declareTopic(Region& region, const std::string& name, uint32_t order, uint32_t ack, TopicView& topic,
                    TopicWish* wish = nullptr);

}  // namespace ringfence
