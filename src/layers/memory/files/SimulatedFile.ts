/**
 * The bytes of one simulated file: as processes see them, as they survive a loss of power, and the changes between.
 */

/** Gives numbers from 0 up to 1, as `Math.random` does. A seeded one makes a crash repeatable. */
export type Random = () => number

type Change =
  | { readonly kind: "write"; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly size: number }

export class SimulatedFile {
  #seen: Uint8Array = new Uint8Array()
  #durable: Uint8Array = new Uint8Array()
  #pending: Array<Change> = []

  get size(): number {
    return this.#seen.length
  }

  read(at: number, into: Uint8Array): number {
    const bytes = this.#seen.subarray(at, at + into.length)
    into.set(bytes)
    return bytes.length
  }

  write(at: number, bytes: Uint8Array): void {
    const change: Change = { kind: "write", at, bytes: bytes.slice() }
    this.#seen = applied(this.#seen, change)
    this.#pending.push(change)
  }

  truncate(size: number): void {
    const change: Change = { kind: "truncate", size }
    this.#seen = applied(this.#seen, change)
    this.#pending.push(change)
  }

  sync(): void {
    this.#durable = this.#pending.reduce(applied, this.#durable)
    this.#pending = []
  }

  /**
   * A sync that failed: some of the changes became durable, the others never will, although processes still see them and
   * the next sync succeeds.
   */
  dropPending(random: Random): void {
    this.#durable = this.#surviving(random)
    this.#pending = []
  }

  /** What is there after a loss of power: changes that were not synced are there, or not, or in part, in any order. */
  losePower(random: Random): void {
    this.#durable = this.#surviving(random)
    this.#seen = this.#durable
    this.#pending = []
  }

  #surviving(random: Random): Uint8Array {
    return shuffled(this.#pending, random).reduce(
      (bytes, change) => survivors(change, random).reduce(applied, bytes),
      this.#durable
    )
  }
}

// --- internal ---

const applied = (bytes: Uint8Array, change: Change): Uint8Array => {
  const size = change.kind === "truncate" ? change.size : Math.max(bytes.length, change.at + change.bytes.length)
  const changed = new Uint8Array(size)
  changed.set(bytes.subarray(0, size))
  if (change.kind === "write") changed.set(change.bytes, change.at)
  return changed
}

/** Half of the time they keep their order, as with most file systems most of the time. */
const shuffled = (changes: ReadonlyArray<Change>, random: Random): ReadonlyArray<Change> =>
  random() < 0.5
    ? changes
    : changes.map((change) => [random(), change] as const).toSorted(([a], [b]) => a - b).map(([, change]) => change)

const sector = 64

/** What survives of one change: all, nothing, a beginning that ends at any byte, or some sectors. */
const survivors = (change: Change, random: Random): ReadonlyArray<Change> => {
  const fate = random()
  if (fate < 0.25) return [change]
  if (fate < 0.5 || change.kind === "truncate") return []
  const { at, bytes } = change
  if (fate < 0.75) return [{ kind: "write", at, bytes: bytes.subarray(0, Math.floor(random() * bytes.length)) }]
  const parts: Array<Change> = []
  for (let from = 0; from < bytes.length; from += sector) {
    if (random() < 0.5) parts.push({ kind: "write", at: at + from, bytes: bytes.subarray(from, from + sector) })
  }
  return parts
}
