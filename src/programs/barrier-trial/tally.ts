/**
 * Counts the messages that one member has seen from each sender. Counters only grow: with counters that are reset at
 * each barrier, an early burst would look like a missing one.
 */
import type { BarrierMode } from "../../services/schema/BarrierArrival.ts"
import { monotonicMillis } from "../measure/monotonic-clock.ts"

/**
 * When a message counts as arrived. `begun`: its handler has begun, as a delivery fence promises. `ended`: it has
 * ended, as a processing fence promises.
 */
export type Oracle = "begun" | "ended"

/** A rendezvous promises neither; the weaker of the two counts its missing messages. */
export const oracleOf = (mode: BarrierMode): Oracle => mode === "processingFence" ? "ended" : "begun"

interface Counter {
  count: number
  /** When the last message of each iteration was counted, by iteration. */
  readonly atMillis: Float64Array
}

interface Sender {
  readonly begun: Counter
  readonly ended: Counter
}

export class Tally {
  disordered = 0
  readonly #burst: number
  readonly #senders: ReadonlyArray<Sender>
  readonly #listeners = new Set<() => void>()

  constructor({ burst, iterations, members }: { burst: number; iterations: number; members: number }) {
    const counter = (): Counter => ({ count: 0, atMillis: new Float64Array(iterations + 1) })
    this.#burst = burst
    this.#senders = Array.from({ length: members }, () => ({ begun: counter(), ended: counter() }))
  }

  /** Call it when a handler begins, with the message's number, counted from 0 for each sender. */
  begins(member: number, sequence: number): void {
    const sender = this.#senders[member]
    if (sender === undefined || sender.begun.count !== sequence) this.disordered += 1
    if (sender !== undefined) this.#count(sender.begun)
  }

  ends(member: number): void {
    const sender = this.#senders[member]
    if (sender !== undefined) this.#count(sender.ended)
    for (const listener of this.#listeners) listener()
  }

  /** Messages counted so far, of all senders. */
  total(oracle: Oracle): number {
    return this.#senders.reduce((sum, sender) => sum + sender[oracle].count, 0)
  }

  /** Messages that these members sent before that iteration's barrier and that have not arrived. */
  missing(oracle: Oracle, iteration: number, members: Iterable<number>): number {
    let missing = 0
    for (const member of members) missing += Math.max(0, iteration * this.#burst - this.#of(oracle, member).count)
    return missing
  }

  /** Messages that these members send after that iteration's barrier and that have arrived already. */
  ahead(iteration: number, members: Iterable<number>): number {
    let ahead = 0
    for (const member of members) ahead += Math.max(0, this.#of("begun", member).count - iteration * this.#burst)
    return ahead
  }

  /** When the last message sent before that barrier arrived; 0 while one is missing. */
  reachedMillis(oracle: Oracle, iteration: number, members: Iterable<number>): number {
    if (this.missing(oracle, iteration, members) > 0) return 0
    return Math.max(...Array.from(members, (member) => this.#of(oracle, member).atMillis[iteration] ?? 0))
  }

  /** Calls `listener` after each handler's end, until the returned function is called. */
  onEnded(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  // --- internal ---

  #of(oracle: Oracle, member: number): Counter {
    return (this.#senders[member] as Sender)[oracle]
  }

  #count(counter: Counter): void {
    counter.count += 1
    if (counter.count % this.#burst === 0) counter.atMillis[counter.count / this.#burst] = monotonicMillis()
  }
}
