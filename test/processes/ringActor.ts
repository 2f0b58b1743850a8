/**
 * A process that writes or reads a ring, and can be killed or stopped.
 *
 * Usage: node ringActor.ts <write|read> <region> <options as JSON>
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import { RingPorts } from "../../src/layers/ports/RingPorts.ts"
import * as Rings from "../../src/layers/Rings.ts"
import {
  type FullPolicy,
  type OpenRingError,
  type ReceiveError,
  Ring,
  type SendError
} from "../../src/services/Ring.ts"
import { sequenceOf, stamped } from "../suites/ring/stamps.ts"
import { fallSilent, tell } from "./telling.ts"

export interface RingActorOptions {
  readonly name: string
  readonly whenFull?: FullPolicy
  /** The first message to write or to expect. */
  readonly first?: number
  readonly bytes?: number
}

const [part = "", region = "", json = "{}"] = process.argv.slice(2)
const { bytes = 200, first = 0, name, whenFull } = JSON.parse(json) as RingActorOptions

/** It reports one message in this many. */
const told = 256

type RingError = OpenRingError | SendError | ReceiveError

const write = Effect.gen(function*() {
  const writer = yield* Ring.writer({ name: "ring", whenFull })
  yield* tell({ _tag: "ready", sessionId: writer.generation })
  for (let sequence = first;; sequence += 1) {
    // One message in eight is published only with the next, and one in 64 is sent in parts.
    const waits = sequence % 8 === 1 && writer.append(stamped(sequence, bytes))
    if (!waits) yield* writer.send(stamped(sequence, sequence % 64 === 0 ? 5 * bytes : bytes))
    if (sequence % 64 === 63) yield* Effect.yieldNow
    if (sequence % told === 0) yield* tell({ _tag: "acknowledged", records: sequence })
  }
})

const read = Effect.gen(function*() {
  const reader = yield* Ring.reader({ name: "ring" })
  yield* tell({ _tag: "ready", sessionId: (yield* RingPorts).self.process })
  let records = 0
  for (let next: number | undefined;;) {
    const messages = yield* reader.pull
    if (messages.length === 0) return yield* tell({ _tag: "done", records })
    for (const { payload } of messages) {
      const sequence = sequenceOf(payload)
      if (next !== undefined && sequence !== next) {
        return yield* Effect.die(new Error(`${sequence} follows ${next - 1}`))
      }
      next = sequence + 1
      records += 1
      if (records % told === 0) yield* tell({ _tag: "acknowledged", records })
    }
  }
})

const failed = (error: { readonly _tag?: string; readonly message: string }) =>
  tell({ _tag: "failed", error: error._tag ?? "defect", message: error.message })

const Attached = Rings.layerNative.pipe(
  Layer.provideMerge(CxlMemory.layerAttach({ region, processName: name }))
)

const program: Effect.Effect<void, RingError, Ring | RingPorts | Scope.Scope> = part === "write" ? write : read

await Effect.runPromise(
  program.pipe(
    Effect.scoped,
    Effect.provide(Attached),
    Effect.catch(failed),
    Effect.catchDefect((defect) => failed({ message: String(defect) }))
  )
)
fallSilent()
