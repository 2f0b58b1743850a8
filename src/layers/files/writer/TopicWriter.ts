/**
 * Writes one topic: collects batches in a staging buffer, makes each group durable, begins segments, removes old ones.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { DiskError } from "../../ports/Disk.ts"
import type { StoredCursor } from "../../ports/ReplicatedLog.ts"
import { writeCursors } from "../cursorsFile.ts"
import { batchBytes } from "../format/batch.ts"
import type { SegmentHeader } from "../format/header.ts"
import { sizes } from "../format/layout.ts"
import type { Retained, Retention } from "../ReplicaFiles.ts"
import { join, segmentName } from "../segment/names.ts"
import type { TopicPlace } from "../segment/openSegment.ts"
import type { SegmentEntry } from "../segment/SegmentEntry.ts"
import type { Place, StoredBatch, StoredIdentity } from "../StoredTopic.ts"
import { SegmentWriter } from "./SegmentWriter.ts"
import type { StagingBuffer, StagingBuffers } from "./StagingBuffer.ts"

export interface TopicWriterOptions extends TopicPlace {
  readonly declared: { readonly order: string; readonly ack: string }
  readonly replicaId: string
  readonly term: () => number
  readonly segmentBytes: number
  readonly retention: Retention
  readonly buffers: StagingBuffers
}

/** What the files of a topic hold when its writer begins. */
export interface TopicState {
  readonly synced: Place
  readonly orderedMillis: number
  readonly identities: ReadonlyMap<string, StoredIdentity>
  readonly cursors: ReadonlyArray<StoredCursor>
  readonly segments: ReadonlyArray<SegmentEntry>
  /** The last segment's bytes behind this offset are not trusted: they are cut once another segment is there. */
  readonly cut: Cut | undefined
  /** Batches that the last segment may not hold durably, to be written again first. */
  readonly again: StagingBuffer | undefined
}

export interface Cut {
  readonly path: string
  readonly offset: number
}

export class TopicWriter {
  readonly #options: TopicWriterOptions
  /** One commit, retention or closing at a time. */
  readonly #turn = Semaphore.makeUnsafe(1)
  readonly #identities: Map<string, StoredIdentity>
  #cursors: ReadonlyArray<StoredCursor>
  #synced: Place
  #orderedMillis: number
  #end: Place
  #segments: ReadonlyArray<SegmentEntry>
  #cut: Cut | undefined
  /** Being filled. */
  #staged: StagingBuffer | undefined
  /** Being written, or to be written again after a failure. */
  #group: StagingBuffer | undefined
  #active: SegmentWriter | undefined
  /** The segment behind the active one, which has no name before its first group is durable. */
  #next: SegmentWriter | undefined
  /** The next segment is opened or given up by one at a time. */
  readonly #opening = Semaphore.makeUnsafe(1)
  /** A removal that may come back after a crash: its directory was not synced since. */
  #removalOpen = false
  #isClosed = false

  constructor(options: TopicWriterOptions, state: TopicState) {
    this.#options = options
    this.#synced = state.synced
    this.#orderedMillis = state.orderedMillis
    this.#identities = new Map(state.identities)
    this.#cursors = state.cursors
    this.#segments = state.segments
    this.#cut = state.cut
    this.#group = state.again
    this.#end = state.again?.next ?? state.synced
  }

  readonly start = (): Place => {
    const [first] = this.#segments
    return first === undefined ? this.#synced : { index: first.firstIndex, position: first.firstPosition }
  }

  readonly synced = (): Place => this.#synced
  readonly end = (): Place => this.#end
  readonly stagedBytes = (): number => (this.#staged?.used ?? 0) + (this.#group?.used ?? 0)
  readonly waitingBytes = (): number => this.#staged?.used ?? 0
  readonly syncedIdentities = (): ReadonlyMap<string, StoredIdentity> => this.#identities
  readonly cursors = (): ReadonlyArray<StoredCursor> => this.#cursors
  readonly segments = (): ReadonlyArray<SegmentEntry> => this.#segments

  readonly append = (batch: StoredBatch): boolean => {
    if (batch.index !== this.#end.index || batch.position !== this.#end.position) {
      throw new Error(
        `topic "${this.#options.topic}": batch ${batch.index} at position ${batch.position} was appended, but `
          + `batch ${this.#end.index} at position ${this.#end.position} is next`
      )
    }
    this.#staged ??= this.#options.buffers.take()
    if (!this.#fits(batch) || !this.#staged.append(batch)) return false
    this.#end = this.#staged.next
    return true
  }

  readonly unwrittenBytes = (): number => {
    const staged = this.#staged
    return staged === undefined ? 0 : staged.used - (this.#last?.aheadOf(staged) ?? 0)
  }

  readonly writeAhead: Effect.Effect<number> = Effect.suspend(() =>
    Effect.flatMap(
      this.#isNextDue ? this.#openAhead : Effect.succeed(this.#last),
      (segment) => segment === undefined ? Effect.succeed(0) : segment.writeAhead(() => this.#aheadIn(segment))
    )
  )

  readonly commit: Effect.Effect<Place, DiskError> = Effect.suspend(() => {
    const until = this.#end.index
    return this.#alone(Effect.gen({ self: this }, function*() {
      while (this.#synced.index < until) yield* this.#writeGroup()
      return this.#synced
    }))
  })

  readonly retain = (nowMillis: number, needed = Infinity): Effect.Effect<Retained, DiskError> =>
    this.#alone(Effect.gen({ self: this }, function*() {
      let [segments, bytes] = [0, 0]
      for (;;) {
        yield* this.#closeRemoval()
        const oldest = this.#removable(nowMillis, needed)
        if (oldest === undefined) return { segments, bytes }
        yield* this.#options.disk.remove(join(this.#options.dir, segmentName(oldest.firstIndex)))
        this.#removalOpen = true
        this.#segments = this.#segments.slice(1)
        segments += 1
        bytes += oldest.bytes
      }
    }))

  /** Written by the same process as the batches, one change at a time. */
  readonly setCursors = (cursors: ReadonlyArray<StoredCursor>): Effect.Effect<void, DiskError> =>
    this.#alone(Effect.map(writeCursors(this.#options.disk, this.#options.dir, cursors), () => {
      this.#cursors = cursors
    }))

  readonly close: Effect.Effect<void> = Effect.suspend(() =>
    this.#isClosed ? Effect.void : this.#alone(Effect.suspend(() => {
      this.#isClosed = true
      return Effect.andThen(this.#leave(true), this.#discardNext)
    }))
  )

  /**
   * The system uses the buffers until it has answered: what runs here is not interrupted. Nothing runs once the files are
   * closed, because another process may have their lock by then.
   */
  #alone<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    const running = Effect.suspend(() =>
      this.#isClosed ? Effect.die(new Error(`the files of topic "${this.#options.topic}" are closed`)) : effect
    )
    return Effect.uninterruptible(Semaphore.withPermit(this.#turn, running))
  }

  #writeGroup(): Effect.Effect<void, DiskError> {
    return Effect.suspend(() => {
      if (this.#group === undefined) {
        this.#group = this.#staged
        this.#staged = undefined
      }
      const group = this.#group!
      const active = this.#active
      const hasRoom = active !== undefined && this.#next === undefined
        && active.offset + group.used + sizes.commit <= this.#options.segmentBytes
      return Effect.map(hasRoom ? this.#append(active, group) : this.#begin(group), () => this.#written(group))
    })
  }

  /** The segment to which the staged group belongs, as far as that is known. */
  get #last(): SegmentWriter | undefined {
    return this.#next ?? this.#active
  }

  /** The commit block ahead of the staged group is written, in that segment or the one before. */
  #isBehind(segment: SegmentWriter): boolean {
    const group = this.#group
    return group === undefined || segment.isSyncing(group) || this.#active?.isSyncing(group) === true
  }

  /**
   * What may be written ahead in a segment: what is staged, once it is behind the commit block of the group before it, and if
   * its own group will stand in this segment too.
   */
  #aheadIn(segment: SegmentWriter): StagingBuffer | undefined {
    const staged = this.#staged
    if (this.#last !== segment || staged === undefined || staged.used === 0 || !this.#isBehind(segment)) {
      return undefined
    }
    return staged.used <= segment.roomIn(this.#options.segmentBytes) ? staged : undefined
  }

  /** A group that is written ahead in a segment has to fit there. */
  #fits(batch: StoredBatch): boolean {
    const [last, staged] = [this.#last, this.#staged]
    if (staged === undefined || last?.aheadOf(staged) === undefined) return true
    return staged.used + batchBytes(batch) <= last.roomIn(this.#options.segmentBytes)
  }

  /** Whether what is staged begins the next segment, and where that begins is known. */
  get #isNextDue(): boolean {
    const [active, staged] = [this.#active, this.#staged]
    return this.#next === undefined && active !== undefined && staged !== undefined && this.#isBehind(active)
      && active.aheadOf(staged) === undefined && staged.used > active.roomIn(this.#options.segmentBytes)
  }

  /** Opens the next segment while the last group of the active one is synced. A commit tries again what fails, and tells. */
  get #openAhead(): Effect.Effect<SegmentWriter | undefined> {
    const opening = Effect.suspend(() =>
      this.#isNextDue ? Effect.orElseSucceed(this.#open(this.#header()), () => undefined) : Effect.succeed(this.#last)
    )
    return Effect.uninterruptible(Semaphore.withPermit(this.#opening, opening))
  }

  /** The segment that begins behind what is durable: the one that was opened ahead, if it does. */
  get #opened(): Effect.Effect<SegmentWriter, DiskError> {
    return Semaphore.withPermit(
      this.#opening,
      Effect.suspend(() => {
        const next = this.#next
        // The header was made ahead: a term that began meanwhile is not in it.
        if (next?.firstIndex === this.#synced.index && next.term === this.#options.term()) return Effect.succeed(next)
        return Effect.andThen(this.#giveUpNext, this.#open(this.#header()))
      })
    )
  }

  #open(header: SegmentHeader): Effect.Effect<SegmentWriter, DiskError> {
    return Effect.map(SegmentWriter.open(this.#options, header), (opened) => this.#next = opened)
  }

  get #discardNext(): Effect.Effect<void> {
    return Semaphore.withPermit(this.#opening, Effect.suspend(() => this.#giveUpNext))
  }

  get #giveUpNext(): Effect.Effect<void> {
    const next = this.#next
    this.#next = undefined
    return next === undefined ? Effect.void : next.discard
  }

  #append(active: SegmentWriter, group: StagingBuffer): Effect.Effect<void, DiskError> {
    return Effect.tapError(active.append(group, this.#before()), () => this.#leave(false))
  }

  /** Begins another segment, with this group. */
  #begin(group: StagingBuffer): Effect.Effect<void, DiskError> {
    return Effect.gen({ self: this }, function*() {
      const created = yield* this.#opened
      yield* Effect.tapError(created.append(group, this.#before()), () => this.#discardNext)
      yield* this.#cutTail()
      const former = this.#active
      this.#active = created
      this.#next = undefined
      if (former !== undefined) yield* former.close(false, this.#before())
      this.#segments = [...this.#segments.filter(({ firstIndex }) => firstIndex < this.#synced.index), {
        firstIndex: this.#synced.index,
        firstPosition: this.#synced.position,
        orderedMillis: this.#orderedMillis,
        bytes: 0
      }]
    })
  }

  /** Gives up the active segment. What it holds behind its last durable group is not trusted after a failure. */
  #leave(inGoodOrder: boolean): Effect.Effect<void> {
    const active = this.#active
    if (active === undefined) return Effect.void
    this.#active = undefined
    if (!inGoodOrder) this.#cut = { path: active.path, offset: active.offset }
    return active.close(inGoodOrder, this.#before())
  }

  #written(group: StagingBuffer): void {
    for (const [name, said] of group.identities) this.#identities.set(name, said)
    this.#orderedMillis = Math.max(this.#orderedMillis, group.orderedMillis)
    this.#synced = group.next
    this.#segments = [...this.#segments.slice(0, -1), { ...this.#segments.at(-1)!, bytes: this.#active!.offset }]
    this.#group = undefined
    this.#options.buffers.give(group)
  }

  /** Readers stop where the next segment begins, so that a tail which cannot be cut does no harm. */
  #cutTail(): Effect.Effect<void> {
    const cut = this.#cut
    this.#cut = undefined
    if (cut === undefined) return Effect.void
    return Effect.ignore(
      Effect.scoped(Effect.flatMap(this.#options.disk.open(cut.path, "write"), (file) => file.truncate(cut.offset)))
    )
  }

  /** A removal is durable before the next one, because a missing segment between two others is damage. */
  #closeRemoval(): Effect.Effect<void, DiskError> {
    if (!this.#removalOpen) return Effect.void
    return Effect.map(this.#options.disk.syncDirectory(this.#options.dir), () => {
      this.#removalOpen = false
    })
  }

  /** The oldest segment, if it is not to be kept. What it holds was ordered before its successor begins. */
  #removable(nowMillis: number, needed: number): SegmentEntry | undefined {
    const [oldest, next] = this.#segments
    if (oldest === undefined || next === undefined || next.firstPosition > needed) return undefined
    const { bytes = Infinity, millis = Infinity } = this.#options.retention
    const held = this.#segments.reduce((sum, segment) => sum + segment.bytes, 0)
    return held > bytes || next.orderedMillis < nowMillis - millis ? oldest : undefined
  }

  #before() {
    return { place: this.#synced, orderedMillis: this.#orderedMillis }
  }

  /** Of a segment that begins behind what is durable, or behind the group that the active one is syncing. */
  #header(): SegmentHeader {
    const { declared: { ack, order }, logId, replicaId, term, topic } = this.#options
    const group = this.#group
    const syncing = group !== undefined && this.#active?.isSyncing(group) === true ? group : undefined
    const { index, position } = syncing?.next ?? this.#synced
    return {
      logId,
      replicaId,
      topic,
      order,
      ack,
      term: term(),
      firstIndex: index,
      firstPosition: position,
      orderedMillis: Math.max(this.#orderedMillis, syncing?.orderedMillis ?? 0),
      identities: Object.fromEntries([...this.#identities, ...syncing?.identities ?? []])
    }
  }
}
