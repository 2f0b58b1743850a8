/**
 * Blocks that one member sends to another that is slow to take them: none may be lost, torn, or out of order.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Messenger } from "../../src/services/Messenger.ts"

const Block = Messenger.event("block", Schema.Struct({ n: Schema.Int, bytes: Schema.Uint8Array }))

export interface Heard {
  readonly blocks: number
  /** Blocks that arrived out of order or changed. */
  readonly wrong: number
}

/** Takes the blocks, with a pause after each fiftieth. The returned function gives the progress. */
export const takeBlocks = Effect.fnUntraced(function*(restMillis: number) {
  let blocks = 0
  let wrong = 0
  yield* Messenger.use(({ subscribe }) =>
    subscribe(Block, ({ bytes, n }) => {
      if (n !== blocks || !bytes.every((byte) => byte === (n & 0xff))) wrong += 1
      blocks += 1
      return n % 50 === 0 ? Effect.sleep(restMillis) : Effect.void
    })
  )
  return (): Heard => ({ blocks, wrong })
})

export const sendBlocks = (blocks: number, bytes: number) =>
  Messenger.use(({ send }) =>
    Effect.forEach(
      Array.from({ length: blocks }, (_, n) => n),
      (n) => send(Block, { n, bytes: new Uint8Array(bytes).fill(n & 0xff) }),
      { discard: true }
    )
  )
