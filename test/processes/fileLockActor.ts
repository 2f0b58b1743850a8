/**
 * Locks a file, says so, and lives until it is killed.
 */
import * as Effect from "effect/Effect"
import { nativeFileLock } from "../../src/layers/native/region/FileLock.ts"

setInterval(() => {}, 60_000)

const [path = ""] = process.argv.slice(2)

await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  yield* nativeFileLock.lock(path)
  process.stdout.write("locked\n")
  return yield* Effect.never
})))
