// What docs/memory-model.md says of mutants that no schedule finds, and of sites that none executes.
#pragma once

#include <string>
#include <vector>

namespace ringfence::explore {

struct Listed {
  std::string site;    // "RingWriter::publish, publish RingLead.position"; of a site that none executes, the function
  std::string fault;   // empty in the second table; "any" for all faults of the site
  std::string reason;
  bool met = false;
};

struct Verdicts {
  std::vector<Listed> equivalent;
  std::vector<Listed> notExecuted;
};

// By the tables of the page, which name the model in their headings. False when the page cannot be read.
bool readVerdicts(const std::string& model, Verdicts& verdicts);

// A listed site that ends in "*" stands for all that begin so: of those, schedules may find some.
bool standsForMany(const Listed& listed);
Listed* listedOf(std::vector<Listed>& all, const std::string& site, const std::string& fault);

}  // namespace ringfence::explore
