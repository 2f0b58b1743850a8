// Whether topics that named things belong to are still there.
#pragma once

#include <vector>

#include "topics.h"

namespace ringfence {

// The topics that are not over, as they were when this was made. A place whose topic is not known counts as in use by any.
class TopicLives {
 public:
  explicit TopicLives(const Region& region);
  // A later topic has the place, or it is free for one.
  bool over(TopicPlace topic) const;

 private:
  struct Place {
    TopicState state;
    TopicView view{};
  };
  std::vector<Place> places_;
};

// `gone` when the topic has been freed, `recovering` while no process serves the log.
Status topicThere(const Region& region, TopicPlace place);

}  // namespace ringfence
