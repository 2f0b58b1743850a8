/**
 * `ringfence files`: the listing and the verification of a replica's directory.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { nodeDisk } from "../../src/layers/node/NodeDisk.ts"
import { KnownLog } from "../model/filesLog.ts"
import { fill, segmentsOf, withTopic } from "../suites/files/disks.ts"
import { run } from "./harness.ts"

/** A directory with a replica of 60 batches. */
const replica = Effect.gen(function*() {
  const dir = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "ringfence-files-"))),
    (dir) => Effect.sync(() => rmSync(dir, { recursive: true }))
  )
  const disk = { disk: nodeDisk, dir }
  const log = new KnownLog()
  yield* withTopic(disk, (topic) => fill(topic, log, 60, 3))
  return { dir: join(dir, "replica"), log, names: yield* segmentsOf(disk) }
})

describe("files", () => {
  it.live("lists the topics of a replica", () =>
    Effect.gen(function*() {
      const { dir, log, names } = yield* replica
      const said = yield* run(["files", "ls", dir])
      assert.strictEqual(said.code, 0)
      assert.match(said.text, /replica \S+ of log log, term 0, not in sync/)
      assert.match(said.text, new RegExp(`orders +session +durable +0 +${log.at(60).position} +${names.length} `))
      const json = JSON.parse((yield* run(["files", "ls", dir, "--json"])).text) as {
        program: string
        topics: ReadonlyArray<{ end: unknown; identities: number }>
      }
      assert.strictEqual(json.program, "files ls")
      assert.deepInclude(json.topics[0], { end: { index: 60, position: log.at(60).position }, identities: 2 })
    }))

  it.live("verifies every byte, and names the damaged one", () =>
    Effect.gen(function*() {
      const { dir, names } = yield* replica
      const whole = yield* run(["files", "verify", dir])
      assert.strictEqual(whole.code, 0)
      assert.match(whole.text, new RegExp(`${names.length} segments, no damage`))
      const path = join(dir, "topics/orders", names[1]!)
      const bytes = readFileSync(path)
      bytes[bytes.length - 300]! ^= 1
      writeFileSync(path, bytes)
      const found = yield* run(["files", "verify", dir])
      assert.strictEqual(found.code, 1)
      assert.match(found.text, /1 damaged\n.*is damaged at byte \d+: the block there is invalid/)
      assert.match(found.stderr, /^ringfence: .*1 segment is damaged/)
      const json = yield* run(["files", "verify", dir, "--json"])
      assert.deepInclude(JSON.parse(json.text), { program: "files verify", ok: false, exitCode: 1, damaged: 1 })
    }))

  it.live("says when there is no replica", () =>
    Effect.gen(function*() {
      for (const command of ["ls", "verify"]) {
        const { code, stderr } = yield* run(["files", command, join(tmpdir(), "ringfence-none")])
        assert.strictEqual(code, 3)
        assert.match(stderr, /holds no replica: it has no manifest\.json/)
        assert.strictEqual((yield* run(["files", command])).code, 2)
      }
    }))
})
