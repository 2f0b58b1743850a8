#include "verdicts.h"

#include <fstream>

namespace ringfence::explore {

namespace {

const std::string ownFile = __FILE__;

std::string pagePath() {
  const size_t sources = ownFile.rfind("/src/native/");
  return ownFile.substr(0, sources) + "/docs/memory-model.md";
}

// The cells of a row of a table, without the marks of code.
std::vector<std::string> cellsOf(const std::string& row) {
  std::vector<std::string> cells;
  std::string cell;
  for (size_t i = 1; i < row.size(); i += 1) {
    if (row[i] == '`') continue;
    if (row[i] != '|') {
      cell += row[i];
      continue;
    }
    const size_t first = cell.find_first_not_of(' ');
    const size_t last = cell.find_last_not_of(' ');
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
    cell.clear();
  }
  return cells;
}

bool isRow(const std::string& line) { return line.size() > 2 && line[0] == '|' && line[2] != '-' && line[1] != '-'; }

}  // namespace

bool readVerdicts(const std::string& model, Verdicts& verdicts) {
  std::ifstream page(pagePath());
  if (!page) return false;
  std::vector<Listed>* into = nullptr;
  bool heading = false;
  std::string line;
  while (std::getline(page, line)) {
    if (!line.empty() && line[0] == '#') {
      into = nullptr;
      heading = true;
      if (line == "### Mutants that no schedule can find: `" + model + "`") into = &verdicts.equivalent;
      if (line == "### Sites that no schedule executes") into = &verdicts.notExecuted;
    }
    if (into == nullptr || !isRow(line)) continue;
    const std::vector<std::string> cells = cellsOf(line);
    // The first row names the columns.
    if (heading) {
      heading = false;
    } else if (into == &verdicts.equivalent && cells.size() == 3) {
      into->push_back({cells[0], cells[1], cells[2], false});
    } else if (into == &verdicts.notExecuted && cells.size() == 2) {
      into->push_back({cells[0], "", cells[1], false});
    }
  }
  return true;
}

bool standsForMany(const Listed& listed) { return listed.site.ends_with("*") || listed.fault == "any"; }

Listed* listedOf(std::vector<Listed>& all, const std::string& site, const std::string& fault) {
  for (Listed& one : all) {
    const bool same = one.site.ends_with("*") ? site.starts_with(one.site.substr(0, one.site.size() - 1)) : one.site == site;
    if (same && (one.fault == fault || one.fault == "any")) return &one;
  }
  return nullptr;
}

}  // namespace ringfence::explore
