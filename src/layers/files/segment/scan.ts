/**
 * Reads a whole segment: where its valid groups end, which of them are proven to be durable, and what it says of
 * identities.
 */
import * as Effect from "effect/Effect"
import type { DiskError } from "../../ports/Disk.ts"
import { type Bytes, makeBytes } from "../format/bytes.ts"
import { type Commit, readCommit } from "../format/commit.ts"
import { sizes } from "../format/layout.ts"
import type { ReplicaDamaged } from "../ReplicaError.ts"
import type { Place, StoredBatch, StoredIdentity } from "../StoredTopic.ts"
import { damaged, type OpenedSegment, walk } from "./openSegment.ts"
import type { Tail } from "./SegmentWalker.ts"
import { tailDamage } from "./tail.ts"

/** A boundary between two groups of a segment, and what is known there. */
export interface Boundary {
  readonly offset: number
  readonly place: Place
  readonly orderedMillis: number
  readonly identities: ReadonlyMap<string, StoredIdentity>
}

export interface Scan {
  /** Behind the last valid group. */
  readonly end: Boundary
  /**
   * Behind the last group whose sync is known to have returned: the first of the segment, which has its name since
   * then, or one that a later commit block follows.
   */
  readonly proven: Boundary
  /** Of the groups: batches, records, and commit blocks, the closing one included. */
  readonly batches: number
  readonly records: number
  readonly commits: number
  readonly tail: Tail
  readonly damage: ReplicaDamaged | undefined
}

export type Identities = ReadonlyArray<readonly [string, StoredIdentity]>

/** What the batches say of identities: the last word on each is what holds. */
export const identitiesOf = (batches: ReadonlyArray<StoredBatch>): Identities =>
  batches.flatMap(({ identity, messageCount }) =>
    identity === undefined
      ? []
      : [[identity.name, { committed: identity.record + messageCount, incarnation: identity.incarnation }]]
  )

export const scan = (segment: OpenedSegment): Effect.Effect<Scan, DiskError> =>
  Effect.gen(function*() {
    const walker = walk(segment)
    const end = new Known(segment)
    const proven = new Known(segment)
    /** The last group, which nothing has proven yet: its commit block and identities, for its batches are lent. */
    let last: readonly [Commit, Identities] | undefined
    let [batches, records, commits] = [0, 0, 0]
    let step = yield* walker.next
    while (step.kind === "group") {
      // The writer began this group after the sync of the group before.
      if (last !== undefined) proven.follow(...last)
      const group = [step.commit, identitiesOf(step.batches)] as const
      end.follow(...group)
      commits += 1
      batches += step.batches.length
      records += step.batches.reduce((sum, { messageCount }) => sum + messageCount, 0)
      last = commits === 1 || step.batches.length === 0 ? undefined : group
      if (last === undefined) proven.follow(...group)
      step = yield* walker.next
    }
    const damage = commits === 0 ? noGroup(segment, step) : yield* tailDamage(segment, step)
    return { end: end.boundary(), proven: proven.boundary(), batches, records, commits, tail: step, damage }
  })

/** The damage of a segment whose groups do not reach the beginning of its successor. */
export const reaches = (
  segment: OpenedSegment,
  nextIndex: number,
  { damage, end, tail }: Scan
): ReplicaDamaged | undefined => {
  if (end.place.index >= nextIndex) return undefined
  const detail = tail.fault === undefined ? "the file ends there" : `the block there is invalid: ${tail.fault.detail}`
  return damage ?? damaged(
    segment.path,
    tail.fault?.offset ?? tail.offset,
    `${detail}, and the next segment begins with batch ${nextIndex}`
  )
}

/** Whether a segment ends with a commit block that says so, and the next one begins there. Reads that block alone. */
export const endsWith = ({ file, salt }: OpenedSegment, next: Place): Effect.Effect<boolean, DiskError> =>
  Effect.gen(function*() {
    const at = (yield* file.size) - sizes.commit
    if (at < 0) return false
    const last: Bytes = makeBytes(sizes.commit)
    yield* file.read(at, last.bytes)
    const commit = readCommit(last, 0, at, salt)
    return commit?.nextIndex === next.index && commit.nextPosition === next.position
  })

// --- internal ---

/** What is known at a boundary, which moves from group to group. */
class Known {
  #offset: number
  #place: Place
  #orderedMillis: number
  readonly #identities: Map<string, StoredIdentity>

  constructor({ end, first, header }: OpenedSegment) {
    this.#offset = end
    this.#place = first
    this.#orderedMillis = header.orderedMillis
    this.#identities = new Map(Object.entries(header.identities))
  }

  follow(commit: Commit, identities: Identities): void {
    this.#offset = commit.end
    this.#place = { index: commit.nextIndex, position: commit.nextPosition }
    this.#orderedMillis = commit.orderedMillis
    for (const [name, identity] of identities) this.#identities.set(name, identity)
  }

  boundary(): Boundary {
    return {
      offset: this.#offset,
      place: this.#place,
      orderedMillis: this.#orderedMillis,
      identities: this.#identities
    }
  }
}

/** A segment gets its name with its first group: without one it was damaged. */
const noGroup = ({ path }: OpenedSegment, { fault, offset }: Tail): ReplicaDamaged =>
  damaged(path, fault?.offset ?? offset, `its first group is invalid (${fault?.detail ?? "it is not there"})`)
