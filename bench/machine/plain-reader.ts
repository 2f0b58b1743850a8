/**
 * A child of the log benchmark: reads files one after the other, from their beginnings to their ends.
 */
import * as Effect from "effect/Effect"
import { open } from "node:fs/promises"
import { monotonicMillis } from "../../src/programs/measure/monotonic-clock.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { diskError, PlainReader } from "./PlainFiles.ts"

const readFile = async (path: string, chunk: Uint8Array): Promise<number> => {
  await using file = await open(path, "r")
  for (let at = 0;;) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length, at)
    if (bytesRead === 0) return at
    at += bytesRead
  }
}

runChild(PlainReader, ({ chunkBytes, paths }, parent) =>
  Effect.gen(function*() {
    yield* parent.ready
    yield* parent.begin
    const chunk = new Uint8Array(chunkBytes)
    const began = monotonicMillis()
    let bytes = 0
    for (const path of paths) {
      bytes += yield* Effect.tryPromise({ try: () => readFile(path, chunk), catch: diskError("read", path) })
    }
    yield* parent.result({ bytes, seconds: (monotonicMillis() - began) / 1000 })
    yield* parent.end
  }))
