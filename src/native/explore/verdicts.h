// What docs/memory-model.md says of mutants that no schedule finds, and of sites that no schedule executes.
#pragma once

#include <string>
#include <vector>

namespace ringfence::explore {

struct Listed {
  std::string site;    // "RingWriter::publish, publish RingLead.position"; in the second table the function alone
  std::string fault;   // empty in the second table; "any" for all faults of the site
  std::string reason;
  bool met = false;
};

struct Verdicts {
  std::vector<Listed> equivalent;
  std::vector<Listed> notExecuted;
};

// Reads the tables of the page whose headings name the model. False when the page cannot be read.
bool readVerdicts(const std::string& model, Verdicts& verdicts);

// A listed site that ends in "*" stands for all sites whose names begin so; schedules may find mutants of some of them.
bool standsForMany(const Listed& listed);
Listed* listedOf(std::vector<Listed>& all, const std::string& site, const std::string& fault);

}  // namespace ringfence::explore
