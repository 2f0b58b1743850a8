/**
 * The promises that the verdict checks, and what it has found against them.
 */
import { type Check, check } from "../../../src/programs/cli/checks.ts"
import { plural } from "../../../src/services/text/quantities.ts"

/** By the name of their check. */
export const promises = {
  whole: "each record is read as it was written",
  dense: "each reader sees positions without a hole or a repetition",
  agree: "all readers see the same record at a position",
  complete: "the readers together see all positions",
  sessions: "each session is a prefix, in its order, of one publisher's records",
  once: "no record is in the order twice",
  ordered: "each publisher's records are in the order in which it sent them, without a hole",
  sent: "no record is in the order that was not accepted",
  kept: "each acknowledged record is in the order",
  committed: "no record is acknowledged before it is committed",
  bounded: "no more is acknowledged than was accepted",
  forward: "a publisher's acknowledgements never fall",
  identity: "an identity goes on where it was committed, and never goes back",
  fenced: "nothing of a fenced publisher is committed behind its successor's beginning",
  finished: "a publisher that ends has all of its records in the order",
  synced: "no record is acknowledged as durable before each replica has synced it",
  stored: "each durable acknowledgement is in the files of each replica",
  files: "the files of a replica have the order from its beginning, without damage",
  restored: "a restored log has each durable acknowledgement, in a new term",
  undone: "what was read as durable is in the restored log, where it was",
  positions: "a position has another record only behind the end of a restored log",
  beside: "the order goes on while a replica does not sync",
  cursor: "a cursor never goes back behind its last commit, over a restore its last durable one",
  skipped: "a cursor skips nothing",
  gaps: "what a lapped reader has read and what it was told that it misses follow each other, over its restarts",
  dropped: "a lapped reader misses only what memory had dropped",
  counted: "a lapped reader counts the gaps that it tells",
  history: "a reader that goes on in files misses nothing and reads nothing twice, over restarts and restores"
} as const

export type PromiseName = keyof typeof promises

export class Faults {
  readonly #found = new Map<PromiseName, { times: number; readonly first: string }>()

  note(promise: PromiseName, what: string): void {
    const found = this.#found.get(promise)
    if (found === undefined) this.#found.set(promise, { times: 1, first: what })
    else found.times += 1
  }

  checks(): ReadonlyArray<Check> {
    return (Object.keys(promises) as Array<PromiseName>).map((promise) => {
      const found = this.#found.get(promise)
      const detail = found === undefined ? "holds" : `${plural(found.times, "time")} not, first: ${found.first}`
      return check(promises[promise], found === undefined, detail)
    })
  }
}
