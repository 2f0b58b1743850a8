/**
 * A durable topic with an importer of numbered records, as the tests of logs on disk use it.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { type Program, run } from "./harness.ts"

export const patience = "60 seconds"

export const recordBytes = 1000

/** A file of records that differ, cut by `--record-bytes`. */
export const inputOf = (records: number): Buffer =>
  Buffer.concat(Array.from({ length: records }, (_, i) => Buffer.alloc(recordBytes, `record ${i} of the input;`)))

export const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

export const topic = ["--topic", "orders:session:durable"]

export const publishing = (region: string, file: string, ...flags: ReadonlyArray<string>) => [
  "publish",
  "--region",
  region,
  "orders",
  "--ack",
  "durable",
  "--identity",
  "importer",
  "--record-bytes",
  `${recordBytes}`,
  "--json",
  ...flags,
  file
]

export const kill = (program: Program) =>
  Effect.suspend(() => {
    program.signal("SIGKILL")
    return program.ended
  })

/** All records of the topic, from the files of that directory and from memory. */
export const historyOf = (region: string, dir: string) =>
  Effect.gen(function*() {
    const args = ["subscribe", "--region", region, "orders", "--raw", "--from", "start", "--history", dir]
    const read = yield* run(args, { patience })
    assert.strictEqual(read.code, 0, read.stderr)
    return read.stdout
  })
