// Lists and declares the topics of a log.
#include <cstring>

#include "napi_log.h"

namespace ringfence::binding {

napi_value topicObject(napi_env env, const TopicView& topic) {
  napi_value out;
  napi_create_object(env, &out);
  set(env, out, "index", count(env, topic.index));
  set(env, out, "generation", count(env, topic.generation));
  set(env, out, "order", count(env, topic.order));
  set(env, out, "ack", count(env, topic.ack));
  set(env, out, "name", text(env, topic.name));
  return out;
}

bool placeAt(const Arguments& arguments, const Region& region, size_t at, TopicPlace& place) {
  place = {arguments.word(at), arguments.natural(at + 1)};
  if (place.index < region.layout().geometry.topics) return true;
  throwFault(arguments.env, Status::failed("invalid", "there is no such topic"));
  return false;
}

namespace {

napi_value topics(napi_env env, napi_callback_info info) {
  RegionHandle* handle = openRegion(Arguments(env, info), 0);
  if (handle == nullptr) return nothing(env);
  napi_value out;
  napi_create_array(env, &out);
  uint32_t i = 0;
  for (const TopicView& topic : topicsOf(*handle->region())) napi_set_element(env, out, i++, topicObject(env, topic));
  return out;
}

// declareTopic(region, name, order, ack, wished): the topic, or nothing while the sequencer was asked for its place and
// has not answered: then once more, with `wished`
napi_value declare(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  RegionHandle* handle = openRegion(arguments, 0);
  if (handle == nullptr) return nothing(env);
  TopicView topic;
  TopicWish wish{arguments.boolean(4)};
  const Status status =
      declareTopic(*handle->region(), arguments.text(1), arguments.word(2), arguments.word(3), topic, &wish);
  if (status.ok()) return topicObject(env, topic);
  return std::strcmp(status.fault, "wished") == 0 ? nothing(env) : throwFault(env, status);
}

}  // namespace

void registerTopics(napi_env env, napi_value exports) {
  method(env, exports, "topics", topics);
  method(env, exports, "declareTopic", declare);
}

}  // namespace ringfence::binding
