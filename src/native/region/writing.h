// What the verbs of a line's change do (Writing in publication.h, which includes this).
#pragma once

#include "publication.h"

namespace ringfence {

template <class L>
Writing<L>::Writing(const Publication& publication, L& line, Site site)
    : line_(line), flushed_(publication.flushed_), site_(site) {}

template <class L>
Writing<L>::~Writing() {
  if (flushed_) [[unlikely]] memory::writeBack(&line_, sizeof(line_), site_);
}

template <class L>
template <auto Field>
  requires(FieldOf<Field, L> && !Covering<Field>)
Writing<L>& Writing<L>::set(std::type_identity_t<ValueOf<Field>> value, Site site) {
  aheadOfStore();
  memory::store(line_.shared_.*Field, value, site);
  return *this;
}

template <class L>
template <auto Field, class Element, size_t count>
  requires(FieldOf<Field, L> && std::is_same_v<ValueOf<Field>, Element[count]>)
Writing<L>& Writing<L>::copy(const Element (&value)[count], Site site) {
  static_assert(sizeof(value) % sizeof(uint64_t) == 0);
  uint64_t words[sizeof(value) / sizeof(uint64_t)];
  std::memcpy(words, value, sizeof(value));
  auto* to = reinterpret_cast<uint64_t*>(&(line_.shared_.*Field));
  for (size_t i = 0; i < sizeof(value) / sizeof(uint64_t); i += 1) {
    aheadOfStore();
    memory::store(to[i], words[i], site);
  }
  return *this;
}

template <class L>
Writing<L>& Writing<L>::all(const typename L::Fields& local, Site site)
  requires(!Covered<typename L::Fields>)
{
  Publication::store(line_.shared_, local, site);
  return *this;
}

template <class L>
template <auto Token>
  requires(FieldOf<Token, L> && Covering<Token>)
Writing<L>& Writing<L>::allBefore(const typename L::Fields& local, Site site) {
  typename L::Fields withoutToken = local;
  withoutToken.*Token = 0;
  Publication::store(line_.shared_, withoutToken, site);
  return *this;
}

template <class L>
template <auto Token>
  requires(FieldOf<Token, L> && Covered<typename L::Fields> == Covering<Token>)
Writing<L>& Writing<L>::allBut(const typename L::Fields& local, Site site) {
  static_assert(sizeof(ValueOf<Token>) == sizeof(uint64_t));
  Publication::store(line_.shared_, local, site, Publication::wordOf<Token>(local));
  return *this;
}

template <class L>
template <auto Field>
void Writing<L>::release(ValueOf<Field> value, Site site) {
  // The token must not reach memory ahead of the other lines.
  if (flushed_) [[unlikely]] {
    if constexpr (sizeof(L) > lineBytes) memory::writeBack(&line_, sizeof(line_), site);
    memory::writeBackFence(site);
  }
  aheadOfStore();
  memory::storeRelease(line_.shared_.*Field, value, site);
}

template <class L>
template <auto Field>
  requires(FieldOf<Field, L> && !Covering<Field>)
Writing<L>& Writing<L>::publish(std::type_identity_t<ValueOf<Field>> value, Site site) {
  release<Field>(value, site);
  return *this;
}

template <class L>
template <auto Field>
  requires(FieldOf<Field, L> && Covering<Field>)
Writing<L>& Writing<L>::publish(std::type_identity_t<ValueOf<Field>> value, Written<CoverOf<Field>>&& before, Site site) {
  before.bytes_.spend();
  release<Field>(value, site);
  return *this;
}

template <class L>
template <auto Field>
  requires(FieldOf<Field, L> && Covering<Field>)
Writing<L>& Writing<L>::withdraw(Site site) {
  release<Field>(0, site);
  return *this;
}

template <class L>
Written<L> Writing<L>::written() && {
  return Written<L>(sizeof(L));
}

}  // namespace ringfence
