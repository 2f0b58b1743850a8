/**
 * A reader that goes from files to memory, and back where memory leaves it behind: to its subscriber it is one reader.
 *
 *     files ─► batches of one pull ─► all released ─► next pull ─► … ─► in memory, where the files have come to
 *       ▲                                                                  │
 *       └────────── a gap in memory, which only a reader has ◄─────────────┘
 *                   that holds nothing back
 *
 * While it reads files it holds up no publisher.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import type { HistoryUnreadable, IndexedBatch } from "../../../services/Subscriber.ts"
import type { IndexPort } from "../../ports/IndexPort.ts"
import type { LogWaiter } from "../../ports/Waiter.ts"

export class JoinedReader implements IndexPort {
  readonly waiter: LogWaiter
  readonly begins: number | undefined
  /** Set while it reads memory. */
  #live: IndexPort | undefined
  /** Where memory left it behind, and its reader there, which says in reports how far the files have come. */
  #left: { readonly live: IndexPort; readonly position: number } | undefined
  readonly #leaving = Latch.makeUnsafe(false)
  #failure: HistoryUnreadable | undefined
  /** Batches of the present pull, of which the first `#polled` are polled. */
  #batches: ReadonlyArray<IndexedBatch> = []
  #polled = 0
  #next: number
  #released: number
  #committedMessages: number
  /** Opened by each change that this reader itself makes. */
  #round = Latch.makeUnsafe(false)
  readonly #wanted = Latch.makeUnsafe(true)

  /** `first`: the first batch, which begins at that position in files; `waiter`: the live log's. */
  constructor(
    waiter: LogWaiter,
    first: { readonly index: number; readonly position?: number },
    committedMessages: number,
    live?: IndexPort
  ) {
    this.begins = first.position
    this.#next = first.index
    this.#released = first.index
    this.#committedMessages = committedMessages
    this.#live = live
    this.waiter = { ...waiterOf(waiter), until: (check) => this.#until(waiter, check) }
  }

  readonly poll = (max: number): ReadonlyArray<IndexedBatch> => {
    if (this.#live !== undefined && this.#polled === this.#batches.length) return this.#pollLive(this.#live, max)
    const batches = this.#batches.slice(this.#polled, this.#polled + max)
    this.#polled += batches.length
    this.#next += batches.length
    return batches
  }

  readonly release = (index: number): void => {
    this.#released = Math.max(this.#released, index)
    const live = this.#live ?? this.#left?.live
    live?.release(index)
    if (this.#isTaken) this.#wanted.openUnsafe()
  }

  readonly damage = (): string | undefined => this.#live?.damage()
  readonly failure = (): HistoryUnreadable | undefined => this.#failure
  readonly isReadingHistory = (): boolean => this.#live === undefined && this.#failure === undefined
  readonly committed = (): number => this.#live?.committed() ?? this.#next + this.#batches.length - this.#polled
  readonly committedMessages = (): number => this.#live?.committedMessages() ?? this.#committedMessages
  readonly next = (): number => this.#live?.next() ?? this.#next
  readonly finished = (): boolean => this.#live?.finished() ?? false

  /** Returns once all batches that were given are released: their bytes may go. */
  readonly untilTaken: Effect.Effect<void> = Effect.suspend(() => this.#wanted.await)

  /** The position where memory leaves it behind, once it does. */
  readonly untilLeft: Effect.Effect<number> = Effect.suspend(() =>
    Effect.map(this.#leaving.await, () => this.#left?.position ?? 0)
  )

  /** Goes on in files, at the batch of that index. */
  begin(next: number): void {
    this.#leaving.closeUnsafe()
    this.#next = next
    this.#released = next
  }

  /** Gives the batches of one pull. */
  give(batches: ReadonlyArray<IndexedBatch>, committedMessages: number): void {
    this.#batches = batches
    this.#polled = 0
    this.#committedMessages = Math.max(this.#committedMessages, committedMessages)
    this.#wanted.closeUnsafe()
    this.#changed()
  }

  /** Goes on in memory, at the batch behind those given. */
  join(live: IndexPort): void {
    this.#live = live
    this.#left = undefined
    this.#changed()
  }

  fail(failure: HistoryUnreadable): void {
    this.#failure = failure
    this.#changed()
  }

  get #isTaken(): boolean {
    return this.#polled === this.#batches.length && this.#released >= this.#next
  }

  #changed(): void {
    const round = this.#round
    this.#round = Latch.makeUnsafe(false)
    round.openUnsafe()
  }

  #pollLive(live: IndexPort, max: number): ReadonlyArray<IndexedBatch> {
    const batches = live.poll(max)
    const gap = batches[0]?.gap ?? live.gap?.()
    if (gap === undefined) return batches
    // What lies behind the gap is read again, from files or from memory.
    this.#live = undefined
    this.#left = { live, position: gap.from }
    this.#batches = []
    this.#polled = 0
    this.#wanted.openUnsafe()
    this.#leaving.openUnsafe()
    return []
  }

  #until<A>(waiter: LogWaiter, check: () => A | undefined): Effect.Effect<A, RegionLost> {
    const trial: Effect.Effect<A, RegionLost> = Effect.suspend(() => {
      const round = this.#round
      const live = this.#live
      if (live !== undefined) {
        const found = waiter.until(() => check() ?? (this.#live === live ? undefined : left))
        return Effect.flatMap(found, (found) => found === left ? trial : Effect.succeed(found))
      }
      const found = check()
      if (found !== undefined) return Effect.succeed(found)
      return Effect.andThen(Effect.raceFirst(untilUnreadable(waiter), round.await), trial)
    })
    return trial
  }
}

// --- internal ---

/** Memory has left the reader behind. */
const left = Symbol("left")

// A log that has ended can be read to its end, from files and from memory.
const untilUnreadable = (waiter: LogWaiter): Effect.Effect<void, RegionLost> =>
  Effect.catchIf(
    Effect.asVoid(waiter.untilLost),
    ({ reason }) => reason === "stopped",
    () => Effect.never
  )

// The waiters of the backends have methods that a spread would lose.
const waiterOf = (waiter: LogWaiter): LogWaiter => ({
  until: (check) => waiter.until(check),
  untilLost: waiter.untilLost,
  untilEnded: (check) => waiter.untilEnded(check),
  lost: () => waiter.lost(),
  awaitsServer: () => waiter.awaitsServer(),
  untilServedOrLost: waiter.untilServedOrLost,
  server: () => waiter.server()
})
