// Damages every field of the header that an attachment relies on, one at a time: an attaching process is refused with a
// typed fault, and an attached one continues with its own copy.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <map>

#include "damage_fields.h"
#include "region/inspection.h"
#include "ring_fixture.h"

namespace ringfence::test {

namespace {

size_t placeOf(const std::string& structure) {
  const std::map<std::string, size_t> places = {
      {"Identity", offsetof(Header, identity)}, {"Geometry", offsetof(Header, geometry)}, {"BirthLine", offsetof(Header, birth)}};
  return places.at(structure);
}

// Sizes whose change the rounding to pages hides from the region's size, and one that does not affect it at all.
Geometry spacious() {
  Geometry g = ringGeometry();
  g.lanePayloadBytes *= 2;
  return g;
}

TEST("every field of the header, one at a time: who attaches is told, and who is attached goes on") {
  Random random(90);
  Findings findings;
  int made = 0;
  for (const Geometry& geometry : {ringGeometry(), spacious()}) {
    CreateOptions options;
    options.path = scratchFolder() + "/region" + std::to_string(made++);
    options.geometry = geometry;
    options.processName = "creator";
    std::shared_ptr<Region> creator;
    CHECK_EQUAL(Region::create(options, nullptr, creator).fault, "none");
    const std::string layout(reinterpret_cast<const char*>(&creator->layout()), sizeof(Layout));
    auto* const header = reinterpret_cast<uint8_t*>(&creator->header());
    for (const DamagedField& field : headerFields()) {
      uint8_t* const structure = header + placeOf(field.structure);
      for (const Damage& damage : damagesIn(field, structure, random)) {
        damage.make(structure);
        std::shared_ptr<Region> attached;
        const Status status = Region::attach({options.path, "client", false}, attached);
        inspect(options.path);
        Seen seen;
        if (!status.ok()) {
          seen.outcome = told;
          if (attached != nullptr || status.detail.empty()) seen.wrong = "a refusal without a reason";
        } else {
          seen.wrong = "it was attached to";
        }
        if (std::memcmp(layout.data(), &creator->layout(), sizeof(Layout)) != 0) seen.wrong = "the arrays have moved";
        findings.add(field, seen, damage);
        damage.undo(structure);
      }
    }
    std::shared_ptr<Region> attached;
    CHECK_EQUAL(Region::attach({options.path, "client", false}, attached).fault, "none");
  }
  findings.finish(headerFields());
}

}  // namespace

}  // namespace ringfence::test
