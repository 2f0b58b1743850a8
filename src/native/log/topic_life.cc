#include "topic_life.h"

namespace ringfence {

TopicLives::TopicLives(const Region& region) {
  for (uint32_t i = 0; i < region.layout().geometry.topics; i += 1) {
    Place& place = places_.emplace_back();
    place.state = topicAt(region, i, place.view);
  }
}

bool TopicLives::over(TopicPlace topic) const {
  if (topic.index >= places_.size()) return false;
  const Place& place = places_[topic.index];
  const bool known = place.state == TopicState::declared || place.state == TopicState::free;
  return known && place.view.generation > topic.generation;
}

Status topicThere(const Region& region, TopicPlace place) {
  TopicView topic{};
  const TopicState state = topicAt(region, place.index, topic);
  if (state == TopicState::undecided) return recovering();
  if (state == TopicState::declared && topic.generation == place.generation) return Status::fine();
  return Status::failed("gone", "the topic was freed, because no session and no reader used it");
}

}  // namespace ringfence
