/**
 * A reader that begins in files and goes on in memory: to its subscriber it is one reader.
 *
 *     files ─► batches of one pull ─► all released ─► next pull ─► … ─► attached where the files have come to
 *
 * While it reads files it holds up no publisher: only then memory may trim what it has not read.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import type { HistoryUnreadable, IndexedBatch } from "../../../services/Subscriber.ts"
import type { IndexPort } from "../../ports/IndexPort.ts"
import type { LogWaiter } from "../../ports/Waiter.ts"

export class JoinedReader implements IndexPort {
  readonly waiter: LogWaiter
  readonly begins: number
  #live: IndexPort | undefined
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

  /** `first`: where the first batch begins; `waiter`: the live log's. */
  constructor(
    waiter: LogWaiter,
    first: { readonly index: number; readonly position: number },
    committedMessages: number
  ) {
    this.begins = first.position
    this.#next = first.index
    this.#released = first.index
    this.#committedMessages = committedMessages
    this.waiter = { ...waiterOf(waiter), until: (check) => this.#until(waiter, check) }
  }

  readonly poll = (max: number): ReadonlyArray<IndexedBatch> => {
    if (this.#live !== undefined && this.#polled === this.#batches.length) return this.#live.poll(max)
    const batches = this.#batches.slice(this.#polled, this.#polled + max)
    this.#polled += batches.length
    this.#next += batches.length
    return batches
  }

  readonly release = (index: number): void => {
    this.#released = Math.max(this.#released, index)
    this.#live?.release(index)
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

  #until<A>(waiter: LogWaiter, check: () => A | undefined): Effect.Effect<A, RegionLost> {
    const trial: Effect.Effect<A, RegionLost> = Effect.suspend(() => {
      const round = this.#round
      if (this.#live !== undefined) return waiter.until(check)
      const found = check()
      if (found !== undefined) return Effect.succeed(found)
      return Effect.raceFirst(
        Effect.asVoid(waiter.untilLost),
        round.await
      ).pipe(Effect.andThen(trial))
    })
    return trial
  }
}

// --- internal ---

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
