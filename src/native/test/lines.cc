// The discipline of lines: what does not compile, and what flushed memory does.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "region/byte_lock.h"
#include "region/flush.h"
#include "region/layout.h"
#include "region/publication.h"
#include "testing.h"

namespace ringfence {

namespace {

struct Writer {};
struct Other {};

struct Things {
  struct Maker {};
  using Role = Writer;
};

struct Fields {
  uint64_t token;
  uint64_t value;
  uint64_t covering;
  char name[32];
  uint64_t reserved;
};

using Shared = Line<Fields, Writer>;

}  // namespace

template <>
struct Covers<Fields> : Token<&Fields::covering, Things> {};

namespace {

template <class L>
concept RawAccess = requires(L& line) { line.shared_; };
static_assert(!RawAccess<Shared>);

template <class Role>
concept MayWrite = requires(const Publication& p, Role role, Shared& line) { p.on(role, line); };
static_assert(MayWrite<Writer> && !MayWrite<Other>);

template <auto Field>
concept SetAlone = requires(Writing<Shared> writing) { writing.template set<Field>(1); };
static_assert(SetAlone<&Fields::value> && !SetAlone<&Fields::covering>);

template <auto Field>
concept PublishedWithoutEvidence = requires(Writing<Shared> writing) { writing.template publish<Field>(1); };
static_assert(PublishedWithoutEvidence<&Fields::token> && !PublishedWithoutEvidence<&Fields::covering>);

template <class Evidence>
concept PublishedWith = requires(Writing<Shared> writing, Evidence evidence) {
  writing.template publish<&Fields::covering>(1, std::move(evidence));
};
static_assert(PublishedWith<Written<Things>> && !PublishedWith<Written<Shared>> && !PublishedWith<Seen<Things>>);
static_assert(!std::is_default_constructible_v<Written<Things>> && !std::is_copy_constructible_v<Written<Things>>);

template <auto... Token>
concept AllStored = requires(Writing<Shared> writing, const Fields& fields) { writing.template allBut<Token...>(fields); };
template <class L>
concept AllStoredAtOnce = requires(Writing<L> writing, const typename L::Fields& fields) { writing.all(fields); };
static_assert(!AllStoredAtOnce<Shared> && AllStored<&Fields::covering> && !AllStored<&Fields::token>);
static_assert(!AllStoredAtOnce<Line<Descriptor, role::LaneWriter>> && AllStoredAtOnce<Line<BirthLine, role::Creator>>);

// Neither lines nor what gives the right to write or read is made of bytes, and lines are not assigned to.
template <class T>
constexpr bool isCopied = std::is_copy_constructible_v<T> || std::is_copy_assignable_v<T> || std::is_move_assignable_v<T>;
static_assert(!isCopied<Shared> && !isCopied<HostLine<SleepLine>>);
template <class... T>
constexpr bool isForged = (std::is_trivially_copyable_v<T> || ...);
static_assert(!isForged<Written<Things>, Seen<Things>, Fenced, Settled>);
static_assert(!isForged<role::Creator, role::Process, role::Claimant, role::NameGiver, role::Sequencer, role::RingWriter>);
static_assert(!isForged<role::RingReader, role::LaneWriter, role::IndexReader, role::Broker, role::Sleeper>);

// A sleep word and a waiter's bit are set by the sleeper, and payload is passed on by the sequencer alone.
template <class... Role>
concept SetsSleepWord = requires(const Publication& p, Role... role, HostLine<SleepLine>& line) {
  p.set<&SleepLine::sleeps>(role..., line, 0);
};
static_assert(SetsSleepWord<role::Sleeper> && !SetsSleepWord<> && !SetsSleepWord<role::Process>);
template <class... Role>
concept ChangesBits = requires(const Publication& p, Role... role, HostLine<CursorWaiters>& line) {
  p.raise<&CursorWaiters::slots>(role..., line, 1);
  p.lower<&CursorWaiters::slots>(role..., line, 1);
};
static_assert(ChangesBits<role::Sleeper> && !ChangesBits<> && !ChangesBits<role::Process>);
template <class Role>
concept PassesPayloadOn = requires(Role role, const Seen<Payload>& seen) { Written<Payload>::passedOn(role, seen); };
static_assert(PassesPayloadOn<role::Sequencer> && !PassesPayloadOn<role::LaneWriter>);

template <class... Evidence>
concept Lent = requires(const Publication& p, Bytes<Things> bytes, Evidence... evidence) { p.lend(bytes, evidence...); };
static_assert(Lent<Seen<Things>> && !Lent<> && !Lent<Written<Things>>);

template <class... Evidence>
concept ObservedBehind = requires(const Publication& p, const Shared& line, Evidence... evidence) {
  p.observeBehind<&Fields::token>(evidence..., line);
};
static_assert(ObservedBehind<Fenced> && !ObservedBehind<>);

template <class... Evidence>
concept Unlocked = requires(int file, off_t at, Evidence... evidence) { unlock(file, at, evidence...); };
static_assert(Unlocked<Settled> && !Unlocked<> && !Unlocked<Fenced>);

template <class... Evidence>
concept RegionPublished = requires(Writing<Line<Identity, role::Creator>> writing, Evidence... whole) {
  writing.template publish<&Identity::magic>(regionMagic, std::move(whole)...);
};
static_assert(RegionPublished<Written<Whole>> && !RegionPublished<>);

template <class Role>
concept MakesKey = std::is_default_constructible_v<Role>;
static_assert(!MakesKey<role::Creator> && !MakesKey<role::Process> && !MakesKey<role::NameGiver> && !MakesKey<role::Claimant>);
static_assert(!MakesKey<role::Sequencer> && !MakesKey<role::LaneWriter> && !MakesKey<role::IndexReader> && !MakesKey<role::Broker>);

// Of the log: a lane is its client's, the order the sequencer's, and a batch's token covers its payload.
template <class Role, class L>
concept Writes = requires(const Publication& p, Role role, L& line) { p.on(role, line); };
using SharedDescriptor = Line<Descriptor, role::LaneWriter>;
using SharedEntry = Line<IndexEntry, role::Sequencer>;
static_assert(Writes<role::LaneWriter, SharedDescriptor> && !Writes<role::Sequencer, SharedDescriptor>);
static_assert(Writes<role::Sequencer, SharedEntry> && !Writes<role::LaneWriter, SharedEntry> && !Writes<role::Broker, SharedEntry>);

template <auto Token, class L, class... Evidence>
concept BatchPublished = requires(Writing<L> writing, Evidence... payload) {
  writing.template publish<Token>(1, std::move(payload)...);
};
static_assert(BatchPublished<&Descriptor::token, SharedDescriptor, Written<Payload>>);
static_assert(!BatchPublished<&Descriptor::token, SharedDescriptor>);
static_assert(BatchPublished<&IndexEntry::seal, SharedEntry, Written<Payload>> && !BatchPublished<&IndexEntry::seal, SharedEntry>);

template <class... Evidence>
concept BatchRead = requires(const Publication& p, void* to, Bytes<Payload> from, Evidence... seen) { p.read(to, from, seen...); };
static_assert(BatchRead<Seen<Payload>> && !BatchRead<>);

struct Mapped {
  Mapped() : at(static_cast<uint8_t*>(mmap(nullptr, pageBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  ~Mapped() { munmap(at, pageBytes); }
  uint8_t* at;
  static constexpr size_t pageBytes = 4096;
};

template <class Each>
void underEach(Each each) {
  each(Publication(Coherence::coherent));
  if (memory::flushInstructions() != nullptr) each(Publication(Coherence::flushed));
}

}  // namespace

TEST("a line is written, published and read the same in both coherences") {
  underEach([](const Publication& p) {
    const Mapped mapped;
    auto& line = *reinterpret_cast<Shared*>(mapped.at);
    const char name[32] = "a name";
    p.on(Writer(), line).set<&Fields::value>(2).copy<&Fields::name>(name).publish<&Fields::token>(1);
    CHECK_EQUAL(p.observe<&Fields::token>(line), 1);
    CHECK_EQUAL(p.own<&Fields::value>(Writer(), line), 2);
    const Fields seen = p.snapshot<&Fields::token>(line);
    CHECK_EQUAL(seen.value, 2);
    CHECK_EQUAL(std::string(seen.name), "a name");
    const Fenced fenced = p.fullFence();
    CHECK_EQUAL(p.observeBehind<&Fields::token>(fenced, line), 1);
    CHECK_EQUAL(p.observeAfterReads<&Fields::value>(line), 2);
  });
}

// Runs in a child, which the failed use ends.
template <class Use>
bool fails(Use use) {
  const pid_t child = fork();
  if (child == 0) {
    close(STDERR_FILENO);
    signal(SIGABRT, SIG_DFL);
    use();
    _exit(0);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

TEST("evidence is used once, and is of some bytes") {
  const Mapped mapped;
  const Publication p;
  auto& line = *reinterpret_cast<Shared*>(mapped.at);
  const auto bytes = Bytes<Things>::of(Things::Maker(), mapped.at + lineBytes, lineBytes);
  const auto publish = [&](Written<Things>& written) { p.on(Writer(), line).publish<&Fields::covering>(1, std::move(written)); };
  CHECK(!fails([&] {
    Written<Things> written = p.wrote(Writer(), bytes);
    publish(written);
  }));
  CHECK(fails([&] {
    Written<Things> written = p.wrote(Writer(), bytes);
    publish(written);
    publish(written);
  }));
  CHECK(fails([&] {
    Written<Things> written = p.wrote(Writer(), bytes.part(0, 0));
    publish(written);
  }));
}

TEST("each line that a range of bytes touches is flushed, and none of its bytes changes") {
  if (memory::flushInstructions() == nullptr) return test::skip("this processor cannot flush lines");
  const Mapped mapped;
  for (size_t i = 0; i < Mapped::pageBytes; i += 1) mapped.at[i] = static_cast<uint8_t>(i * 7);
  for (const size_t from : {0UL, 1UL, 63UL, 64UL, 100UL}) {
    for (const size_t bytes : {0UL, 1UL, 64UL, 65UL, 1000UL}) {
      memory::writeBackLines(mapped.at + from, bytes);
      memory::dropLines(mapped.at + from, bytes);
    }
  }
  memory::orderWriteBacks();
  memory::orderAll();
  bool whole = true;
  for (size_t i = 0; i < Mapped::pageBytes; i += 1) whole = whole && mapped.at[i] == static_cast<uint8_t>(i * 7);
  CHECK(whole);
}

}  // namespace ringfence
