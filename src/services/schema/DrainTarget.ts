/**
 * Drain targets: what a fence waits for, as ring, generation and position.
 */
import * as Schema from "effect/Schema"

/**
 * A place in a ring. A reader has reached it when it has taken every frame that ends at or before `position`, which
 * counts the bytes written since the ring was created. `generation` identifies one of the ring's writers.
 */
export const DrainTarget = Schema.Struct({
  ring: Schema.Int,
  generation: Schema.Int,
  position: Schema.Int
})
export type DrainTarget = typeof DrainTarget.Type
