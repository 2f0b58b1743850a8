/**
 * Many laps of a small ring, with a reader that pauses at every phase, for bugs that show only after the first lap.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { RingReaderHandle, RingWriterHandle } from "../../../src/services/Ring.ts"
import { readerOf, type RingBackend, ringTest, smallRings, writerOf } from "../../backends/ring.ts"
import { sequenceOf, stamped } from "./stamps.ts"

const ringBytes = smallRings.ringBytes as number
const lapsWanted = 150

/** When the paused reader reads on. */
const phases: Record<string, (lap: Lap) => boolean> = {
  empty: () => true,
  half: ({ backlogBytes }) => backlogBytes >= ringBytes / 2,
  full: ({ refused }) => refused,
  "the wrap": ({ refused, wrapped }) => wrapped || refused
}

const sizes: Record<string, (sequence: number) => number> = {
  "frames of one size": () => 96,
  "frames of all sizes": (sequence) => 4 + (sequence * 131) % 989
}

export const ringLapsSuite = (backend: RingBackend): void => {
  describe(`ring laps (${backend.name})`, () => {
    for (const [phase, readsOn] of Object.entries(phases)) {
      for (const [what, sizeOf] of Object.entries(sizes)) {
        ringTest(backend, `${what}, paused at ${phase}: all that was sent is read, and never more than a ring waits`, (
          swarm
        ) =>
          Effect.gen(function*() {
            const process = yield* swarm.attach("writer")
            const writer = yield* writerOf(process)
            const paused = new Following(yield* readerOf(yield* swarm.attach("paused")))
            const quick = new Following(yield* readerOf(yield* swarm.attach("quick")))
            const lap = new Lap(writer)
            while (lap.laps < lapsWanted) {
              lap.write(sizeOf)
              quick.read()
              assert.isAtMost(lap.position - paused.releasedAt, ringBytes)
              lap.backlogBytes = lap.position - paused.releasedAt
              if (readsOn(lap)) paused.read()
            }
            paused.read()
            paused.read()
            assert.strictEqual(paused.next, lap.next)
            assert.strictEqual(quick.next, lap.next)
            const [state] = yield* process.ring.rings
            assert.strictEqual(state?.wraps, lap.laps)
            assert.strictEqual(state?.frames, lap.next)
          }))
      }
    }
  })
}

// --- internal ---

class Lap {
  next = 0
  /** The last write found no room. */
  refused = false
  /** The last write went over the ring's end. */
  wrapped = false
  backlogBytes = 0
  readonly #writer: RingWriterHandle
  #refusals = 0

  constructor(writer: RingWriterHandle) {
    this.#writer = writer
  }

  get position(): number {
    return this.#writer.target().position
  }

  get laps(): number {
    return Math.floor(this.position / ringBytes)
  }

  write(sizeOf: (sequence: number) => number): void {
    const before = this.laps
    this.refused = !this.#writer.offer(stamped(this.next, sizeOf(this.next)))
    if (!this.refused) this.next += 1
    this.#refusals = this.refused ? this.#refusals + 1 : 0
    assert.isBelow(this.#refusals, 3, "no room was found although everything was released")
    this.wrapped = this.laps > before
  }
}

/** Reads the messages there, checks and releases them. */
class Following {
  next = 0
  readonly #reader: RingReaderHandle

  constructor(reader: RingReaderHandle) {
    this.#reader = reader
  }

  get releasedAt(): number {
    return this.#reader.cursors().released
  }

  read(): void {
    for (const { payload } of this.#reader.poll()) {
      assert.strictEqual(sequenceOf(payload), this.next)
      this.next += 1
    }
    this.#reader.poll()
  }
}
