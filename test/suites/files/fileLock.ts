/**
 * The lock of a file, over any backend.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { FileLock } from "../../../src/layers/ports/FileLock.ts"

/** `at`: the path of a file that is not there yet. */
export const fileLockSuite = (name: string, lock: FileLock, at: (file: string) => string): void => {
  describe(`locks of files (${name})`, () => {
    it.live("one holder at a time, also in one process: the other learns whose it is, and has it after that", () =>
      Effect.gen(function*() {
        const path = at("one")
        yield* Effect.scoped(Effect.gen(function*() {
          yield* lock.lock(path)
          const busy = yield* Effect.flip(Effect.scoped(lock.lock(path)))
          assert.isTrue(busy._tag === "FileLockBusy" && busy.pid === process.pid, busy.message)
          yield* Effect.scoped(lock.lock(at("other")))
        }))
        yield* Effect.scoped(lock.lock(path))
        yield* Effect.scoped(lock.lock(path))
      }))
  })
}
