/**
 * Sends a message that must arrive: waits for room in a full ring as long as it takes.
 */
import * as Effect from "effect/Effect"
import type { SendError } from "../../services/Ring.ts"

export const persisting = (send: Effect.Effect<void, SendError>): Effect.Effect<void> =>
  Effect.ignore(Effect.retry(send, { while: ({ _tag }) => _tag === "RingFull" }))
