#include "served.h"

namespace ringfence::explore {

using std::make_shared;
using std::shared_ptr;

Served::Served(const Geometry& geometry, bool mortal, Order order, Ack ack, uint32_t copies)
    : server(*made(geometry), "server", false, mortal) {
  server.program.ahead([&] {
    serving = make_shared<Serving>(server.region, copies);
    TopicView declared;
    expectOk(declareTopic(*server.region, "t", order, order == orderNone ? ackNone : ack, declared), "declaring the topic");
    topic = declared.place();
    serving->settle();
  });
  atEnd([kept = serving] { kept->checkAtRest(); });
}

void Served::runs() {
  server.program.runs([serving = serving] { serving->look(); }, "server's loop", true);
}

shared_ptr<Publishing> Served::publishes(Attached& place) {
  Claim claim;
  place.program.ahead([&] { expectOk(claimClient(*place.region, topic, claim), "claiming a session"); });
  server.program.ahead([&] { serving->settle(); });
  shared_ptr<Publishing> publishing;
  place.program.ahead([&] {
    publishing = Publishing::of(place.region, claim);
    expect(publishing->ready(), "the session is not admitted");
  });
  return publishing;
}

shared_ptr<Subscribing> Served::subscribes(Attached& place, bool attached) {
  shared_ptr<Subscribing> subscribing;
  place.program.ahead([&] {
    Claim claim;
    expectOk(claimReader(*place.region, topic, "reader", claim), "claiming a reader's place");
    subscribing = make_shared<Subscribing>(place.region, claim);
    if (attached) expect(subscribing->attach(From::start), "the reader is not attached");
  });
  return subscribing;
}

shared_ptr<Publishing> opened(const shared_ptr<Region>& region, TopicPlace topic) {
  Claim claim;
  retry("the slot of a session that has ended does not come free",
        [&] { return claimClient(*region, topic, claim).ok(); });
  const auto publishing = Publishing::of(region, claim);
  retry("a session is not admitted", [&] { return publishing->ready(); });
  return publishing;
}

}  // namespace ringfence::explore
