/**
 * A process that tells more than the channel to its test holds, and ends.
 *
 * Usage: node talkativeActor.ts <messages>
 */
import * as Effect from "effect/Effect"
import { fallSilent, tell } from "./telling.ts"

const [messages = "0"] = process.argv.slice(2)

// The listener of an actor that takes orders, which alone would hold this process.
process.on("message", () => undefined)
for (let records = 1; records <= Number(messages); records += 1) {
  Effect.runSync(tell({ _tag: "acknowledged", records }))
}
Effect.runSync(tell({ _tag: "done", records: Number(messages) }))
fallSilent()
