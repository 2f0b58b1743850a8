// What docs/memory-model.md says of mutants that no schedule finds, and of sites that none executes.
#pragma once

#include <string>
#include <vector>

namespace ringfence::explore {

struct Listed {
  std::string site;    // "RingWriter::publish, publish RingLead.position"; of a site that none executes, the function
  std::string fault;   // empty in the second table
  std::string reason;
  bool met = false;
};

struct Verdicts {
  std::vector<Listed> equivalent;
  std::vector<Listed> notExecuted;
};

// By the tables of the page, which name the model in their headings. False when the page cannot be read.
bool readVerdicts(const std::string& model, Verdicts& verdicts);

Listed* listedOf(std::vector<Listed>& all, const std::string& site, const std::string& fault);

}  // namespace ringfence::explore
