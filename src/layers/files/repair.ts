/**
 * Writes the damaged segments of a topic again, with the batches of another replica.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { randomInt } from "node:crypto"
import type { DiskError, DiskFile } from "../ports/Disk.ts"
import { writeCommit } from "./format/commit.ts"
import { type SegmentHeader, writeHeader } from "./format/header.ts"
import { sizes } from "./format/layout.ts"
import { ReplicaDamaged, type ReplicaReadError } from "./ReplicaError.ts"
import type { Repaired } from "./ReplicaFiles.ts"
import type { Manifest } from "./ReplicaManifest.ts"
import { creatingName, join, listSegments, segmentName } from "./segment/names.ts"
import { openSegment, type TopicPlace } from "./segment/openSegment.ts"
import { reaches, scan } from "./segment/scan.ts"
import { lastClaim } from "./segment/tail.ts"
import type { Place, StoredBatch, StoredTopic } from "./StoredTopic.ts"
import { StagingBuffer } from "./writer/StagingBuffer.ts"

/** A segment that cannot be trusted, and what is to stand in its place. */
interface Damaged {
  readonly damage: ReplicaDamaged
  readonly header: SegmentHeader
  /** Index of the first batch that is not needed; for the last segment, of the first that may be missing. */
  readonly until: number
  readonly isLast: boolean
}

export const repairTopic = (
  place: TopicPlace,
  manifest: Manifest,
  peer: StoredTopic
): Effect.Effect<Repaired, ReplicaReadError> =>
  Effect.gen(function*() {
    const { firstIndexes } = yield* listSegments(place.disk, place.dir)
    let [segments, batches, records] = [0, 0, 0]
    for (const [at, firstIndex] of firstIndexes.entries()) {
      // Each is judged after those before it were repaired: what a header lacks, the segment before it has.
      const damaged = yield* judge(place, firstIndexes[at - 1], firstIndex, firstIndexes[at + 1])
      if (damaged === undefined) continue
      const written = yield* rewrite(place, { ...damaged.header, replicaId: manifest.replicaId }, damaged, peer)
      segments += 1
      batches += written.index - firstIndex
      records += written.position - damaged.header.firstPosition
    }
    return { segments, batches, records }
  })

// --- internal ---

const groupBytes = 4 * 1024 * 1024

const judge = (
  place: TopicPlace,
  before: number | undefined,
  firstIndex: number,
  nextIndex: number | undefined
): Effect.Effect<Damaged | undefined, ReplicaReadError> =>
  Effect.scoped(Effect.gen(function*() {
    const segment = yield* openSegment(place, firstIndex)
    const scanned = yield* scan(segment)
    const damage = nextIndex === undefined ? scanned.damage : reaches(segment, nextIndex, scanned)
    if (damage === undefined) return undefined
    const until = nextIndex ?? (yield* lastClaim(segment, scanned.tail.offset)) ?? scanned.end.place.index
    return { damage, header: segment.header, until, isLast: nextIndex === undefined }
  })).pipe(
    Effect.catchTag("ReplicaDamaged", (damage) =>
      Effect.map(headerFrom(place, before, firstIndex, damage), (header) => ({
        damage,
        header,
        until: nextIndex ?? firstIndex,
        isLast: nextIndex === undefined
      })))
  )

/** The header of a segment whose own cannot be read: the segment before it knows where it begins. */
const headerFrom = (
  place: TopicPlace,
  before: number | undefined,
  firstIndex: number,
  damage: ReplicaDamaged
): Effect.Effect<SegmentHeader, ReplicaReadError> =>
  Effect.scoped(Effect.gen(function*() {
    if (before === undefined) return yield* unrepaired(damage, "no segment before it says where it begins")
    const segment = yield* openSegment(place, before)
    const { end } = yield* scan(segment)
    if (end.place.index !== firstIndex) return yield* unrepaired(damage, "the segment before it does not end there")
    return {
      ...segment.header,
      firstIndex,
      firstPosition: end.place.position,
      orderedMillis: end.orderedMillis,
      identities: Object.fromEntries(end.identities)
    }
  }))

const unrepaired = (damage: ReplicaDamaged, why: string): ReplicaDamaged =>
  new ReplicaDamaged({
    file: damage.file,
    offset: damage.offset,
    detail: `${damage.detail}; it was not repaired, because ${why}`,
    nextStep:
      "name another replica of the log that holds these batches, or set the topic's files aside: they begin again"
  })

/** The segment takes its name once all of it is durable: until then the damaged one stays. */
const rewrite = (
  { dir, disk }: TopicPlace,
  header: SegmentHeader,
  damaged: Damaged,
  peer: StoredTopic
): Effect.Effect<Place, ReplicaReadError> => {
  const unfinished = join(dir, creatingName(header.firstIndex))
  const writing = Effect.scoped(Effect.gen(function*() {
    const file = yield* disk.open(unfinished, "create")
    const end = yield* copy(file, header, damaged, peer)
    yield* file.sync
    yield* disk.rename(unfinished, join(dir, segmentName(header.firstIndex)))
    yield* disk.syncDirectory(dir)
    return end
  }))
  return Effect.onExit(writing, (exit) => Exit.isSuccess(exit) ? Effect.void : Effect.ignore(disk.remove(unfinished)))
}

const copy = (
  file: DiskFile,
  header: SegmentHeader,
  damaged: Damaged,
  peer: StoredTopic
): Effect.Effect<Place, ReplicaReadError> =>
  Effect.scoped(Effect.gen(function*() {
    const groups = new Groups(file, header)
    yield* groups.begin
    const reader = yield* Effect.catchTag(
      peer.read(header.firstPosition),
      "PositionTrimmed",
      () => Effect.fail(unrepaired(damaged.damage, "the other replica's files begin later"))
    )
    while (damaged.isLast || groups.next.index < damaged.until) {
      const pulled = yield* Effect.catchTag(
        reader.pull,
        "PositionTrimmed",
        () => Effect.fail(unrepaired(damaged.damage, "the other replica has removed these batches meanwhile"))
      )
      if (pulled.length === 0) break
      for (const batch of pulled) {
        if (!damaged.isLast && batch.index >= damaged.until) break
        if (batch.index !== groups.next.index || batch.position !== groups.next.position) {
          return yield* unrepaired(damaged.damage, "the other replica's batches are others")
        }
        yield* groups.append(batch)
      }
    }
    yield* groups.write
    if (groups.next.index < damaged.until || groups.next.index === header.firstIndex) {
      return yield* unrepaired(damaged.damage, `the other replica ends before batch ${groups.next.index}`)
    }
    return groups.next
  }))

/** Writes groups behind each other into a file that has no segment's name yet, so that no reader opens it. */
class Groups {
  readonly #file: DiskFile
  readonly #header: SegmentHeader
  readonly #salt = randomInt(2 ** 32)
  readonly #buffer = new StagingBuffer(groupBytes)
  #offset = 0
  #orderedMillis: number
  next: Place

  constructor(file: DiskFile, header: SegmentHeader) {
    this.#file = file
    this.#header = header
    this.#orderedMillis = header.orderedMillis
    this.next = { index: header.firstIndex, position: header.firstPosition }
  }

  get begin(): Effect.Effect<void, DiskError> {
    const bytes = writeHeader(this.#salt, this.#header)
    this.#offset = bytes.length
    return this.#file.write(0, [bytes])
  }

  append(batch: StoredBatch): Effect.Effect<void, DiskError> {
    this.next = { index: batch.index + 1, position: batch.position + batch.messageCount }
    if (this.#buffer.append(batch)) return Effect.void
    return Effect.map(this.write, () => void this.#buffer.append(batch))
  }

  get write(): Effect.Effect<void, DiskError> {
    return Effect.suspend(() => {
      const group = this.#buffer
      if (group.batches === 0) return Effect.void
      const [previousEnd, end] = [this.#offset, this.#offset + group.used + sizes.commit]
      this.#orderedMillis = Math.max(this.#orderedMillis, group.orderedMillis)
      const commit = writeCommit(this.#salt, {
        groupCrc: group.groupCrc,
        previousEnd,
        end,
        nextIndex: group.next.index,
        nextPosition: group.next.position,
        orderedMillis: this.#orderedMillis,
        batches: group.batches
      })
      return Effect.map(this.#file.write(previousEnd, [group.bytesFrom(0), commit]), () => {
        this.#offset = end
        group.clear()
      })
    })
  }
}
